"""Embedded servers that run elsewhere: their reports, the choice among them, and the pool that watches them."""
