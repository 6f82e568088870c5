"""What a visitor sees and reaches: the page, its texts, and the HTTP routes."""

VERSION = "0.1.0"
