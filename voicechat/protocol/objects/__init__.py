"""Objects inside server events."""
