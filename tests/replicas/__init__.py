"""Replicas of the app: their supervision, their programs and the configuration of HAProxy."""
