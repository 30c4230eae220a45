"""The detailed verification and the brand's word in it [zones 3.10, 5.3]."""

from __future__ import annotations

import os
import stat

from lab.brands import TooLong, expand, run_zoneadm_hook
from lab.world import GLOBAL
from lab.zone_network import warnings
from lab.zoneadm_context import Context, Failed
from lab.zonefiles import INSTALLED, ZoneConfig, index_entries, index_entry

FORBIDDEN = (
    (stat.S_IRGRP, "group readable"), (stat.S_IWGRP, "group writable"), (stat.S_IXGRP, "group executable"),
    (stat.S_IROTH, "world readable"), (stat.S_IWOTH, "world writable"), (stat.S_IXOTH, "world executable"),
)  # fmt: skip
REQUIRED = (
    (stat.S_IRUSR, "readable by owner"), (stat.S_IWUSR, "writable by owner"), (stat.S_IXUSR, "executable by owner"),
)  # fmt: skip


def brand_allows(context: Context, subcommand: str, words: list[str]) -> bool:
    """`verify_adm`: the subcommand is glued to its text, there is no separating blank [zones 5.2]."""
    text = context.open_brand().text("verify_adm")
    if not text:
        return True
    try:
        line = expand(text, context.name, context.config().zonepath) + subcommand
        return run_zoneadm_hook(context.call, line, words) == 0
    except TooLong:
        raise Failed("invalid brand configuration: missing verify_adm resource") from None


def verify_details(context: Context, subcommand: str, words: list[str]) -> None:
    """Raises `Failed` after every complaint was printed. Where the zone lies is looked at later by `attach`."""
    config = context.config()
    good = subcommand == "attach" or _verify_zonepath(context, config, subcommand)
    context.call.err("".join(line + "\n" for line in warnings(context.world, config)))
    if not brand_allows(context, subcommand, words) or not good:
        raise Failed(f"zone {context.name} failed to verify", bare=True)


def verify_zonepath(context: Context) -> None:
    """Raises `Failed`, with nothing more to say."""
    if not _verify_zonepath(context, context.config(), "attach"):
        raise Failed


def _verify_zonepath(context: Context, config: ZoneConfig, subcommand: str) -> bool:
    say = context.call.err
    path = config.zonepath
    entry = index_entry(context.world, context.name)
    problems: list[str] = []
    if not path.startswith("/"):
        problems.append(f"{path} is not an absolute path.")
    elif entry is not None and entry.zonepath != path:
        problems.append(f"{path} is not the zonepath in the index, {entry.zonepath}.")
    else:
        place = context.world.path(path)
        if not place.exists() and subcommand in ("install", "clone"):
            place.mkdir(mode=0o700, parents=True)
            place.chmod(0o700)
        elif not place.exists() and subcommand == "verify":
            say(f"WARNING: {path} does not exist, so it could not be verified.\n")
            return True
        problems += _problems(context, path)
    say("".join(f"{problem}\n" for problem in problems))
    if problems:
        say(f"could not verify zonepath {path} because of the above errors.\n")
        return False
    return _no_overlap(context, path)


def _problems(context: Context, path: str) -> list[str]:
    try:
        found = context.world.path(path).lstat()
    except OSError as trouble:
        return [f"{path}: {trouble.strerror}"]
    if not stat.S_ISDIR(found.st_mode):
        return [f"{path} is not a directory."]
    problems = [] if found.st_uid in (0, os.geteuid()) else [f"{path} is not owned by root."]
    problems += [f"{path} must be {what}." for bit, what in REQUIRED if not found.st_mode & bit]
    problems += [f"{path} must not be {what}." for bit, what in FORBIDDEN if found.st_mode & bit]
    return problems


def _no_overlap(context: Context, path: str) -> bool:
    """With zones that are installed; where others may lie one day is not looked at (zoneadm.c crosscheck_zonepaths)."""
    mine = path.rstrip("/") + "/"
    for entry in index_entries(context.world).values():
        if entry.name in (context.name, GLOBAL) or entry.state != INSTALLED:
            continue
        theirs = entry.zonepath.rstrip("/") + "/"
        if mine.startswith(theirs) or theirs.startswith(mine):
            context.call.err(
                f"{context.name} zonepath ({path}) and {entry.name} zonepath ({entry.zonepath}) overlap.\n"
            )
            return False
    return True
