"""Upgrade: better models are fetched, tried and put to use between sessions."""
