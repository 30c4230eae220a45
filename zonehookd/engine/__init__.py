"""The heart: what to look at, what to plan, what to do. No subprocess, no SQL, no ZeroMQ in here."""
