"""Conversation of one visitor: items, responses, what was heard, captions and export. Pure."""
