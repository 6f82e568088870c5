"""The page: tabs, drawers, widgets, texts and scripts."""
