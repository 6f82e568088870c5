"""One reply: from the tokens of a language model to text or speech."""
