"""The page: tabs, settings panel, widgets, texts and scripts."""
