"""Functions of a session beside the smallest language model: router, arguments by code, spoken results."""
