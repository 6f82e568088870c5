"""Tools that a model may call: definitions, calls, approval, execution."""
