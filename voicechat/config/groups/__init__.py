"""Groups of settings, each with its variables, bounds, defaults and meanings."""
