"""WebSocket endpoints for programs: a client's session is forwarded to a Realtime server under the app's rules."""
