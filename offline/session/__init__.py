"""Session state machine of the embedded server: turns, items, responses. Pure."""
