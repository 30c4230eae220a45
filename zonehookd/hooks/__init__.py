"""Quick hooks: programs and small functions in hooks.d, told of what becomes of zones, and asked where they may refuse.

`moments` decides what is to be told, `book` keeps it, `calls` tells it to one hook, `hooks` keeps order among them all.
"""
