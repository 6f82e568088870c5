"""Calls of tools: the state machine of one call, rounds, approval and texts for the model. Pure."""
