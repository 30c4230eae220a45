"""Routes as people see and steer them: who is behind each and why not, and zones that are drained."""
