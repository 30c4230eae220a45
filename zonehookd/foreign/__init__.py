"""Plugins that are not ours: each in a process of its own, which is started, watched, asked, ended and started again.

The code of such a plugin never runs in the daemon. It speaks as `zonehookd.wire` says; whatever it does otherwise costs
its own call, and its process.
"""
