"""The Realtime protocol as a client lives it: settings, session, socket, conversation, playback."""
