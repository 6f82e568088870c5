"""Tool calls on the page: chips in the conversation, the approval bar, and the visitor's decisions."""
