"""What runs in a plugin's own process: `python -m zonehookd.worker`, started by the daemon, one for each plugin.

The main thread talks to the daemon (wire/messages.py) and watches for its end; the plugin has a thread of its own, so
that it may take its time. Nothing here changes the machine: the daemon does.
"""
