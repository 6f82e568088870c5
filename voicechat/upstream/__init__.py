"""Connection to a Realtime server: handshake, session sync, retries and renewal."""
