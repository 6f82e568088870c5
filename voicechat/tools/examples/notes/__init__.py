"""Notes: passages of a folder of documents, and a search in them by words. Works without a network or a model."""
