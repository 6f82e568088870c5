"""Tools within a call: their actions as client events and commands."""
