"""What a page shows of a conversation: messages and tool calls."""
