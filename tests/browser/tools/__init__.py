"""Browser tests of tools and pictures."""
