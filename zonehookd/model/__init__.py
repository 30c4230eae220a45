"""The nouns. Frozen, printable, without behaviour that touches the world."""
