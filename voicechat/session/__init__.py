"""Sessions: one call or chat with its admission, billing, upstream connection and clock."""
