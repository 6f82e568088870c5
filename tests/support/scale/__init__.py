"""Several replicas of the app behind one HAProxy, with real processes."""
