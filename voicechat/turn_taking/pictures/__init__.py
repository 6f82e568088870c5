"""Pictures of a call's messages: which of them the server has. Pure."""
