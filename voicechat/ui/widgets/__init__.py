"""Widgets that both tabs use: messages, Markdown, status bar and usage panel."""
