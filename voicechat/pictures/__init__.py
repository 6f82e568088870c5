"""Pictures of a conversation: their files, and which servers see them. Pure."""
