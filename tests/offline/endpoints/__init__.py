"""Tests of the endpoints by address."""
