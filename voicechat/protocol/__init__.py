"""The Realtime protocol: server events, client events, dialects, failures, endpoints and JSON. Pure."""
