"""ZeroMQ: a control socket for questions, an event socket for whoever wants to hear. Both ipc, owner-only."""
