"""The application and its process: routes, metrics, embedded server, shutdown and garbage collection."""
