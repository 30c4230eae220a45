"""The subcommands that change what is on disk: install, uninstall, clone, attach, detach, move, mark, sysboot.

[zones 3.7-3.9]; zoneadm does these itself, under the zone's zoneadm lock.
"""

from __future__ import annotations

import shutil
import signal
from pathlib import Path

from lab import brands
from lab.call import Call
from lab.world import NotEmulated
from lab.zoneadm_context import Context, Failed, UsageError, check, short_usage
from lab.zoneadm_verify import brand_allows, verify_details, verify_zonepath
from lab.zonefiles import CONFIGURED, INCOMPLETE, INSTALLED, load, set_state, set_zonepath, state_of
from lab.zonexml import render


def _hook(context: Context, element: str, words: list[str]) -> int:
    """Run a brand hook if there is one; 0 without. A killing signal is reported and counts as fatal."""
    text = context.open_brand().text(element)
    if not text:
        return 0
    try:
        line = brands.expand(text, context.name, context.config().zonepath)
    except brands.TooLong:
        raise Failed(f"invalid brand configuration: missing {element} resource") from None
    try:
        status = brands.run_zoneadm_hook(context.call, line, words)
    except brands.TooLong:
        raise Failed("Command line too long") from None
    if status < 0:
        what = "installation" if element == "install" else element
        message = f"'brand-specific {what}' terminated by signal {signal.Signals(-status).name}."
        context.call.err(context.line(message))
        return brands.FATAL
    return status


def _has(context: Context, element: str) -> bool:
    return bool(context.open_brand().text(element))


def remove_zone(root: Path, zonepath: str) -> None:
    """The built-in removal: the zonepath and all below it. Refuses to touch anything near the top of the tree."""
    place = root / zonepath.lstrip("/")
    if len(Path(zonepath).parts) < 3 or ".." in Path(zonepath).parts:
        raise NotEmulated(f"removing a zone at {zonepath}")
    if place.is_dir() and not place.is_symlink():
        shutil.rmtree(place)


def install(context: Context, words: list[str]) -> int:
    check(context, "install")
    if words[:2] == ["-x", "nodataset"]:
        words = words[2:]  # zoneadm's own; there are no datasets here
    verify_details(context, "install", words)
    with context.locked():
        check(context, "install")
        context.operate()
        set_state(context.world, context.name, INCOMPLETE)
        context.call.half_way()
        status = _hook(context, "install", words)
        if status == brands.USAGE:
            context.call.err(short_usage("install"))
            return 1
        if status == brands.NOT_COMPLETE:
            remove_zone(context.world.root, context.config().zonepath)
            set_state(context.world, context.name, CONFIGURED)
            return 1
        if status != 0:
            return 1
        set_state(context.world, context.name, INSTALLED)
        if _hook(context, "postinstall", words) != 0:
            set_state(context.world, context.name, INCOMPLETE)
            return 1
    return 0


def uninstall(context: Context, words: list[str]) -> int:
    call = context.call
    force = "-F" in words
    check(context, "uninstall")
    if not brand_allows(context, "uninstall", words):
        return 1
    if not force:
        if not call.stdin_tty:
            raise Failed("Input not from terminal and -F not specified: uninstall not done.")
        call.out(f"Are you sure you want to uninstall zone {context.name} (y/[n])? ")
        call.stdout.flush()
        if not call.stdin.readline().strip().lower().startswith(b"y"):
            return 0
    with context.locked():
        check(context, "uninstall")
        _refuse_mounts(context)
        if _hook(context, "preuninstall", words) != 0:
            return 1
        context.operate()
        set_state(context.world, context.name, INCOMPLETE)
        call.half_way()
        status = _hook(context, "uninstall", words)
        if status == brands.USAGE:
            call.err(short_usage("uninstall"))
        if status != 0:
            return 1
        if not _has(context, "uninstall"):
            remove_zone(context.world.root, context.config().zonepath)
        set_state(context.world, context.name, CONFIGURED)
    return 0


def _refuse_mounts(context: Context) -> None:
    if not context.world.floor.real:
        return
    root = context.config().zonepath + "/root"
    below = [line.split()[4] for line in Path("/proc/self/mountinfo").read_text().splitlines()]
    mounted = [place for place in below if place.startswith(root + "/")]
    if mounted:
        listing = "".join(f"\n  {place}" for place in mounted)
        raise Failed(f"These file systems are mounted on subdirectories of {root}.\n{listing}")


def clone(context: Context, words: list[str]) -> int:
    arguments = list(words)
    while arguments[:1] in (["-m"], ["-s"]):
        if arguments[:2] != ["-m", "copy"]:
            raise NotEmulated(f"zoneadm clone {' '.join(arguments[:2])} [zones 3.7]")
        arguments = arguments[2:]
    if len(arguments) != 1 or arguments[0].startswith("-"):
        raise UsageError("clone")
    source = Context(context.call, arguments[0])
    check(context, "clone")
    state = _state_or_fail(source)
    if state not in (CONFIGURED, INCOMPLETE, INSTALLED):
        raise Failed(f"clone operation is invalid for {state} zones.")
    if state != INSTALLED:
        raise Failed(f"zone {source.name} is {state}; installed is required.", bare=True)
    if source.config().brand != context.config().brand:
        raise NotEmulated("the text for cloning a zone of another brand [zones 3.7]")
    if any(_has(context, element) for element in ("clone", "presnap", "postsnap", "validatesnap")):
        raise NotEmulated("brand hooks of clone [zones 3.7]")
    verify_details(context, "clone", words)
    with context.locked():
        check(context, "clone")
        context.operate()
        set_state(context.world, context.name, INCOMPLETE)
        context.call.half_way()
        there, here = (context.world.path(each.config().zonepath) / "root" for each in (source, context))
        shutil.copytree(there, here, symlinks=True, dirs_exist_ok=True)
        set_state(context.world, context.name, INSTALLED)
        if _hook(context, "postclone", []) != 0:
            set_state(context.world, context.name, INCOMPLETE)
            return 1
    return 0


def _state_or_fail(context: Context) -> str:
    context.config()
    return state_of(context.world, context.name)


def attach(context: Context, words: list[str]) -> int:
    """-F spares the hooks `attach` and `postattach`; all is verified with it, too (zoneadm.c attach_func)."""
    force = "-F" in words
    if "-n" in words:
        if force:
            raise Failed("-F and -n are mutually exclusive.")  # the exact words are not in the sheet
        raise NotEmulated("zoneadm attach -n [zones 3.9]")
    check(context, "attach", force)
    verify_details(context, "attach", words)
    with context.locked():
        check(context, "attach", force)
        context.operate()
        if not force and _hook(context, "attach", words) != 0:
            return 1
        verify_zonepath(context)
        set_state(context.world, context.name, INSTALLED)
        (context.world.path(context.config().zonepath) / "SUNWdetached.xml").unlink(missing_ok=True)
    return 1 if not force and _hook(context, "postattach", words) != 0 else 0


def detach(context: Context, words: list[str]) -> int:
    check(context, "detach")
    if not brand_allows(context, "detach", words):
        return 1
    manifest = render(load(context.world, context.name))
    if "-n" in words:
        context.call.out(manifest)
        return 0
    with context.locked():
        check(context, "detach")
        if _hook(context, "predetach", words) != 0:
            return 1
        context.operate()
        if _has(context, "detach"):
            if _hook(context, "detach", words) != 0:
                return 1
        else:
            (context.world.path(context.config().zonepath) / "SUNWdetached.xml").write_text(manifest)
        set_state(context.world, context.name, CONFIGURED)
    return 0


def move(context: Context, words: list[str]) -> int:
    if len(words) != 1 or words[0].startswith("-"):
        raise UsageError("move")
    check(context, "move")
    if not words[0].startswith("/"):
        raise Failed(f"{words[0]} is not an absolute path.", bare=True)
    if not brand_allows(context, "move", words):
        return 1
    with context.locked():
        check(context, "move")
        old, new = context.world.path(context.config().zonepath), context.world.path(words[0])
        if new.exists():
            raise NotEmulated(f"zoneadm move to {words[0]}, which exists [zones 3.9]")
        context.operate()
        new.parent.mkdir(parents=True, exist_ok=True)
        old.rename(new)
        context.call.half_way()
        set_zonepath(context.world, context.name, words[0])
    return 0


def mark(context: Context, words: list[str]) -> int:
    """A wrong word, or a missing -F, leaves with 2 and not a word [zones 3.9]."""
    force = words[:1] == ["-F"]
    rest = words[1:] if force else words
    allowed = (CONFIGURED, INCOMPLETE, INSTALLED) if force else (INCOMPLETE,)
    if len(rest) != 1 or rest[0] not in allowed:
        raise Failed(status=2)
    check(context, "mark")
    if not brand_allows(context, "mark", words):
        return 1
    with context.locked():
        check(context, "mark")
        context.operate()
        set_state(context.world, context.name, rest[0])
    return 0


def sysboot(context: Context, words: list[str]) -> int:
    check(context, "sysboot")
    return 1 if _hook(context, "sysboot", words) != 0 else 0


def _native_install(call: Call, words: list[str]) -> int:
    """``install NAME ZONEPATH``: a root folder, at once."""
    place = call.world.path(words[1])
    place.mkdir(mode=0o700, parents=True, exist_ok=True)
    place.chmod(0o700)
    (place / "root").mkdir(mode=0o755, exist_ok=True)
    return 0


def _native_uninstall(call: Call, words: list[str]) -> int:
    remove_zone(call.world.root, words[1])
    return 0


brands.NATIVE.update({"install": _native_install, "uninstall": _native_uninstall})
