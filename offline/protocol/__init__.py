"""The Realtime protocol of the embedded server: settings, formats, JSON and messages of the workers."""
