"""Helpers for shared state: Redis in the test process, and as a process of its own."""
