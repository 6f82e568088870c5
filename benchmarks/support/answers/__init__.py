"""Questions with checkable answers, and their scoring."""
