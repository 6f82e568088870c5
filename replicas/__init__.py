"""Replicas: several processes of the app behind one HAProxy.

The package stands alone: it imports neither `voicechat` nor `offline`.

`python -m replicas` is the supervisor of one computer. It knows the app from outside only: by its command, its
environment and its answers at /health.
"""
