"""Helpers for tests of tools."""
