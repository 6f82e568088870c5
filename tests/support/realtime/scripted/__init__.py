"""Realtime server whose calls follow the steps of a test or a benchmark."""
