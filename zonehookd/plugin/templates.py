"""Files rendered strictly: one Jinja2 environment per folder; an undefined name is an error, never an empty string."""

from __future__ import annotations

from functools import cache, lru_cache
from pathlib import Path

import jinja2


@cache
def templates(*folders: Path) -> jinja2.Environment:
    """The templates below these folders, the first that has one; sandboxed from the file system beyond them. A file
    that changed is read again. No HTML escaping: these are not HTML."""
    return jinja2.Environment(
        loader=jinja2.FileSystemLoader(folders),
        undefined=jinja2.StrictUndefined,
        autoescape=False,  # noqa: S701 - configuration files, not HTML
        keep_trailing_newline=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def overridden(ours: Path, theirs: Path, plugin: str, network: str = "") -> jinja2.Environment:
    """Our templates, and an admin's before them: THEIRS/NETWORK/PLUGIN/NAME, then THEIRS/PLUGIN/NAME."""
    own = (theirs / network / plugin,) if network else ()
    folders = (*own, theirs / plugin)
    return _laid_over((*folders, ours), tuple(sorted(file for each in folders for file in each.glob("*.j2"))))


@lru_cache(256)
def _laid_over(folders: tuple[Path, ...], _: tuple[Path, ...]) -> jinja2.Environment:
    """Anew when an admin has another file: a template that is loaded does not see one that comes before it."""
    return templates.__wrapped__(*folders)
