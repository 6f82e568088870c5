"""Speech synthesis: English and Mandarin voices, Mandarin pronunciation."""
