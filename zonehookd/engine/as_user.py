"""What a plugin with a user of its own wants written is written by that user, never by us."""

from __future__ import annotations

import sys

from zonehookd.engine import blocks
from zonehookd.model.command import Change
from zonehookd.model.plan import RemoveFile, WriteBlock, WriteFile, describe
from zonehookd.model.subject import Subject


def change(step: WriteFile | RemoveFile | WriteBlock, plugin: str, subject: Subject, user: str) -> Change:
    """The command that does what the step says, as `user`. What is written does not go into the audit log."""
    words: tuple[str, ...]
    text = ""
    match step:
        case WriteFile():
            mode = "-" if step.mode is None else f"{step.mode:o}"
            words, text = ("write", str(step.path), mode), step.content
        case RemoveFile():
            words = ("remove", str(step.path))
        case WriteBlock(body=""):
            words = ("unblock", str(step.path), blocks.mark(plugin, subject))
        case WriteBlock():
            words, text = ("block", str(step.path), blocks.mark(plugin, subject)), step.body
    argv = (sys.executable, "-P", "-m", "zonehookd.host.put", *words)
    lane, label = f"plugin {plugin}", f"{describe(step)} as {user}"
    return Change(argv, step.why, stdin=text, secret=True, cause=step.cause, lane=lane, label=label, user=user)
