"""Support of benchmarks.page: other commits, page loads, and captions."""
