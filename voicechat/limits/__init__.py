"""Limits: waiting queue, quotas, rate limits, prices and budget. Pure."""
