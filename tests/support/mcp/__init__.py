"""MCP servers of the tests."""
