"""What is said between the daemon and plugins in processes of their own: JSON, one message a frame, version 1."""
