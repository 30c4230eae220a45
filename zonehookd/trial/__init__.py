"""`zonehookctl plugin try`: a plugin asked what it would do here and now, in a worker of its own."""
