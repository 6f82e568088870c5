"""Speech recognition: recognizers, stable partials and turn detection."""
