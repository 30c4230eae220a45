"""Plugins looked at before they work: what is wrong with each, and with all of them together. No daemon is needed."""
