"""Answers without a doubtful claim: what code knows, how sure a small model is, and how long a spoken reply is."""
