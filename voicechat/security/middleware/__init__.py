"""ASGI middlewares of the access control, one concern a module."""
