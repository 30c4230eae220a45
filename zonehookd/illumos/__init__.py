"""The machine's language: argument lists out, records in; one file per command. Pure: nothing here starts anything.

Facts rest on the illumos sources; a comment such as `network sheet 2.4` or the man page names the place.
"""
