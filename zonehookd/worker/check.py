"""All that is wrong with one plugin, at once: for `zonehookctl plugin check` and `zonehookd --check`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from zonehookd.errors import PluginRefused
from zonehookd.plugin import loader
from zonehookd.plugin.finding import Found
from zonehookd.wire.messages import Welcome
from zonehookd.worker import executable, program


async def complaints(found: Found, options: Mapping[str, Any]) -> Sequence[str]:
    """One line each, with its cure; none: it fits. It is loaded here, or run to describe itself, so this is for a
    process of its own, like `zonehookd.authoring`."""
    try:
        match found.shape:
            case "folder" | "package":
                return loader.complaints(found, options)
            case "executable":
                program.options(await executable.describe(found), options)
            case "hook":
                from zonehookd.worker.moments import Moments

                moments = Moments(found)
                await moments.load()
                await moments.begin(Welcome(options=dict(options), site="", dialect={}))
    except PluginRefused as problem:
        return str(problem).splitlines()
    return ()
