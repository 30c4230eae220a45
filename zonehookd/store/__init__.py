"""Our books, in SQLite: what we made, for whom."""
