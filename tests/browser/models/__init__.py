"""Pages with the real models of the embedded server: alone, because they use all processors."""
