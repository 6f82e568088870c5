"""The voice tab and the text tab, and the WebSocket fallback of a call."""
