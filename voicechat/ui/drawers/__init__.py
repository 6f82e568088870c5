"""Drawers of the page: call settings, devices, sound check, export and API key."""
