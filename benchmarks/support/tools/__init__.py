"""Requests for functions, and how the embedded router judges them."""
