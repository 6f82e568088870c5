"""Facts: questions that code answers by itself: arithmetic, dates, time and units. Pure."""
