"""The provisioning network's verbs (contract A11): set up with one command, asked part by part, taken down again.

Nothing here builds anything. Setting up writes a drop-in and has the daemon reload; the engine does the rest, as for
any network. Asking combines what the host says with what a look now would still do.
"""
