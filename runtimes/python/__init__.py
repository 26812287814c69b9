"""The restricted Python runtime: the language fence and what runs behind it."""
