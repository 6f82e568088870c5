"""Tests of endpoints in place of models."""
