"""Fakes of the servers behind the endpoints by address."""
