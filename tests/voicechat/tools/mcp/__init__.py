"""Tests of MCP. Those that need the MCP package run in a process of their own: test_mcp_processes.py."""
