"""Replicas of the app on one computer: HAProxy, Redis, one embedded server, and a supervisor that runs them.

`python -m replicas` is the supervisor. It uses the system's HAProxy and Redis and knows the app from outside only: by
its command, its environment and its answers at /health.
"""
