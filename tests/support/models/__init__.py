"""Fakes of the model hub and of a machine with models."""
