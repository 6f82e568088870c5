"""Replicas: several processes of the app behind one HAProxy. Stands alone: it imports neither `voicechat` nor `offline`."""
