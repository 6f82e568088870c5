"""Authentication: password login of the page and API tokens of programs."""
