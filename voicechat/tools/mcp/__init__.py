"""Tools of MCP servers. Nothing here imports the MCP package before a server is opened."""
