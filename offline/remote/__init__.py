"""Endpoints in place of models: which turns they get, and what this computer does when they fail."""
