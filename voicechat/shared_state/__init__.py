"""Shared state: slots, spending, password attempts and conversations of several replicas, in Redis.

Each module implements an interface of `limits`, `security` or `session`. Without `REDIS_URL` their implementations in
memory are used, and nothing here is imported.
"""
