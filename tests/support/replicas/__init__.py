"""Helpers for the supervisor of replicas."""
