"""Chinese text: captions in Traditional Chinese as written in Taiwan. Pure."""
