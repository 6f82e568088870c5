"""Written text, for both packages: the script of Chinese, and what is never converted. Pure."""
