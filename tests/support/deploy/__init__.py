"""Helpers for the tests of `deploy/`."""
