"""`zoneadm` [zones 3]: the words, the common check, and the subcommands that zoneadmd does."""

from __future__ import annotations

from collections.abc import Callable

from lab import zoneadmd
from lab.call import Call
from lab.world import GLOBAL, NotEmulated
from lab.zoneadm_context import USAGES, Context, Failed, UsageError, by_uuid, check, long_usage, options, short_usage
from lab.zoneadm_list import list_zones
from lab.zoneadm_software import attach, clone, detach, install, mark, move, sysboot, uninstall
from lab.zoneadm_verify import brand_allows, verify_details
from lab.zonefiles import ZonecfgError, state_of


def _relay(context: Context, answer: zoneadmd.Answer) -> None:
    if answer.could_not_start:
        context.call.err(answer.text)
        context.call.err(f"zone '{context.name}': could not start zoneadmd\n")
        return
    context.call.err("".join(f"zone '{context.name}': {line}\n" for line in answer.lines()))


def _ask(context: Context, number: int, arguments: list[str]) -> int:
    """Make the door call. While another zoneadm works on the zone a daemon cannot be started: wait for it."""
    context.wait_for_others()
    answer = zoneadmd.command(context.call, context.name, number, arguments)
    _relay(context, answer)
    if answer.status != 0 and number in (zoneadmd.READY, zoneadmd.BOOT, zoneadmd.FORCEBOOT):
        raise Failed("call to zoneadmd failed")
    return answer.status


def boot(context: Context, words: list[str]) -> int:
    flags, rest = options(context, "boot", words, "fs")
    arguments = (["-s"] if "s" in flags else []) + rest
    check(context, "boot", force="f" in flags)
    verify_details(context, "boot", words)
    return _ask(context, zoneadmd.FORCEBOOT if "f" in flags else zoneadmd.BOOT, arguments)


def ready(context: Context, words: list[str]) -> int:
    _no_words(context, "ready", words)
    check(context, "ready")
    verify_details(context, "ready", words)
    return _ask(context, zoneadmd.READY, [])


def halt(context: Context, words: list[str]) -> int:
    _no_words(context, "halt", words)
    check(context, "halt")
    if not brand_allows(context, "halt", words):
        return 1
    return _ask(context, zoneadmd.HALT, [])


def reboot(context: Context, words: list[str]) -> int:
    _, arguments = options(context, "reboot", words, "")
    check(context, "reboot")
    verify_details(context, "reboot", words)
    return _ask(context, zoneadmd.REBOOT, arguments)


def shutdown(context: Context, words: list[str]) -> int:
    flags, arguments = options(context, "shutdown", words, "r")
    if arguments and "r" not in flags:
        raise UsageError("shutdown")
    check(context, "shutdown")
    answer = zoneadmd.shutdown(context.call, context.name)
    _relay(context, answer)
    if answer.status != 0 or "r" not in flags:
        return answer.status
    return _ask(context, zoneadmd.BOOT, arguments)


def verify(context: Context, words: list[str]) -> int:
    _no_words(context, "verify", words)
    check(context, "verify")
    verify_details(context, "verify", words)
    return 0


def show_help(context: Context, words: list[str]) -> int:
    context.call.out(long_usage())
    return 0


def refuse(context: Context, words: list[str]) -> int:
    raise NotEmulated("zoneadm mount, unmount and apply [zones 3.1]")


def _no_words(context: Context, subcommand: str, words: list[str]) -> None:
    if options(context, subcommand, words, "")[1]:
        raise UsageError(subcommand)


SUBCOMMANDS: dict[str, Callable[[Context, list[str]], int]] = {
    "help": show_help, "boot": boot, "halt": halt, "ready": ready, "shutdown": shutdown, "reboot": reboot,
    "list": list_zones, "verify": verify, "install": install, "uninstall": uninstall, "clone": clone, "move": move,
    "detach": detach, "attach": attach, "mark": mark, "sysboot": sysboot,
    "mount": refuse, "unmount": refuse, "apply": refuse,
}  # fmt: skip


def _target(context: Context, name: str) -> None:
    """`-z`: the zone must be known, and its brand usable, before anything else [zones 3.1]."""
    if name != GLOBAL:
        try:
            state_of(context.call.world, name)
        except ZonecfgError as trouble:
            raise Failed(f"{name}: {trouble.text}", bare=True) from None
        context.name = name
        context.open_brand()
    context.name = name


def main(call: Call) -> int:
    context = Context(call)
    try:
        return _main(context, call.argv[1:])
    except UsageError as usage:
        if usage.subcommand in USAGES:
            call.err(short_usage(usage.subcommand))
        else:
            call.err(long_usage())
        return 2
    except Failed as failed:
        if failed.message:
            call.err(context.line(failed.message, failed.bare))
        return failed.status


def _main(context: Context, words: list[str]) -> int:
    zone, uuid = "", ""
    while words and words[0].startswith("-") and words[0] != "--":
        letter, value, rest = words[0][1:2], words[0][2:], words[1:]
        if letter == "?":
            context.call.out(long_usage())
            return 2
        if letter == "R":
            raise NotEmulated("zoneadm -R")
        if letter not in ("z", "u") or (not value and not rest):
            problem = "illegal option" if letter not in ("z", "u") else "option requires an argument"
            context.call.err(f"zoneadm: {problem} -- {letter}\n")
            raise UsageError("")
        if not value:
            value, rest = rest[0], rest[1:]
        if letter == "z":
            zone = value
        else:
            uuid = value
        words = rest
    if uuid:
        zone = by_uuid(context, uuid) or zone
    if zone:
        _target(context, zone)
    if not words or words[0] not in SUBCOMMANDS:
        raise UsageError("")
    return SUBCOMMANDS[words[0]](context, words[1:])
