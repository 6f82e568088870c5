"""Settings of the operator, preferences of a visitor, and the `session.update` made from them. Pure."""
