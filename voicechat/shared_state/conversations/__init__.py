"""Conversations over Redis: records of pages, sealed, for the replica that goes on with them."""
