"""Settings of the page, in a panel beside the conversation."""
