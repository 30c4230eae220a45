"""What every `zoneadm` subcommand shares: message shapes, usage, the common check [zones 3.1, 3.2], the zone's lock."""

from __future__ import annotations

import contextlib
import threading
import uuid as uuids
from collections.abc import Iterator
from weakref import WeakKeyDictionary

from lab.brands import Brand, InvalidBrand
from lab.brands import open_brand as open_named_brand
from lab.call import Call, Exit
from lab.world import GLOBAL, Refused, World
from lab.zonefiles import ZonecfgError, ZoneConfig, index_entries, kernel_zone, load, state_of

USAGES = {
    "help": "help",
    "boot": "boot [-- boot_arguments]",
    "halt": "halt",
    "ready": "ready",
    "shutdown": "shutdown [-r [-- boot_arguments]]",
    "reboot": "reboot [-- boot_arguments]",
    "list": "list [-cinpv]",
    "verify": "verify",
    "install": "install [brand-specific args]",
    "uninstall": "uninstall [-F] [brand-specific args]",
    "clone": "clone [-m method] [-s <ZFS snapshot>] [brand-specific args] zonename",
    "move": "move zonepath",
    "detach": "detach [-n] [brand-specific args]",
    "attach": "attach [-F] [-n <path>] [brand-specific args]",
    "mark": "mark incomplete",
}


class UsageError(Exception):
    """Exit 2, with the usage of `subcommand`, or the long one when that is unknown."""

    def __init__(self, subcommand: str) -> None:
        super().__init__(subcommand)
        self.subcommand = subcommand


class Failed(Exception):
    """Exit 1 after ``zoneadm: zone 'z': MESSAGE``; `bare` leaves the zone out; "" says nothing."""

    def __init__(self, message: str = "", bare: bool = False, status: int = 1) -> None:
        super().__init__(message)
        self.message = message
        self.bare = bare
        self.status = status


def long_usage() -> str:
    head = (
        "usage:\tzoneadm help\n\tzoneadm [-z <zone>] [-u <uuid-match>] list\n"
        "\tzoneadm {-z <zone>|-u <uuid-match>} <subcommand>\n\nSubcommands:\n\n"
    )
    return head + "".join(f"{usage}\n" for usage in USAGES.values())


def short_usage(subcommand: str) -> str:
    return f"usage:\t{USAGES[subcommand]}\n\tSee zoneadm(8), subcommand {subcommand}.\n"


class Context:
    """One `zoneadm` call and the zone it is about; `name` is "" without -z."""

    def __init__(self, call: Call, name: str = "") -> None:
        self.call = call
        self.name = name

    @property
    def world(self) -> World:
        return self.call.world

    def line(self, message: str, bare: bool = False) -> str:
        return f"zoneadm: {message}\n" if bare or not self.name else f"zoneadm: zone '{self.name}': {message}\n"

    def config(self) -> ZoneConfig:
        try:
            return load(self.world, self.name)
        except ZonecfgError as trouble:
            raise Failed(f"{self.name}: {trouble.text}", bare=True) from None

    def open_brand(self) -> Brand:
        try:
            return open_named_brand(self.world, load(self.world, self.name).brand)
        except (InvalidBrand, ZonecfgError):
            raise Failed("missing or invalid brand") from None

    def operate(self) -> None:
        """The moment of the change; a scripted fault makes it fail."""
        try:
            self.call.operate()
        except Refused as refused:
            raise Failed(refused.status) from None

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """`/var/run/zones/NAME.zoneadm.lock`; whoever was started under it says so by its environment [zones 3.7]."""
        if "_ZONEADM_LOCK_HELD" in self.call.environ:
            yield
            return
        with _lock(self.world, self.name):
            yield

    def wait_for_others(self) -> None:
        if kernel_zone(self.world, self.name) is None:
            with self.locked():
                pass


_locks: WeakKeyDictionary[World, dict[str, threading.Lock]] = WeakKeyDictionary()


def _lock(world: World, name: str) -> threading.Lock:
    with world.lock:
        return _locks.setdefault(world, {}).setdefault(name, threading.Lock())


def by_uuid(context: Context, text: str) -> str:
    """The zone with that uuid, "" when none has it."""
    try:
        wanted = str(uuids.UUID(text))
    except ValueError:
        raise Failed("illegal UUID value specified", bare=True) from None
    return next((entry.name for entry in index_entries(context.world).values() if entry.uuid == wanted), "")


def options(context: Context, subcommand: str, words: list[str], letters: str) -> tuple[set[str], list[str]]:
    """Flags without arguments, then the remaining words. ``-?`` prints the usage and leaves with 0."""
    flags: set[str] = set()
    rest = list(words)
    while rest and rest[0].startswith("-") and rest[0] != "-":
        word = rest.pop(0)
        if word == "--":
            break
        for letter in word[1:]:
            if letter == "?":
                context.call.err(short_usage(subcommand))
                raise Exit(0)
            if letter not in letters:
                context.call.err(f"zoneadm: illegal option -- {letter}\n")
                raise UsageError(subcommand)
            flags.add(letter)
    return flags, rest


OFF_ONLY = ("install", "uninstall", "clone", "move", "detach", "attach", "mark", "sysboot")
IN_ZONE = {"halt": "use halt(8) to halt this zone.", "shutdown": "use shutdown(8) to shutdown this zone.",
           "reboot": "use reboot(8) to reboot this zone."}  # fmt: skip


def check(context: Context, subcommand: str, force: bool = False) -> None:
    """The common check, in its order; raises `Failed` with the first refusal [zones 3.2]."""
    call, name = context.call, context.name
    if call.zone != GLOBAL:
        raise Failed(IN_ZONE.get(subcommand, f"must be in the global zone to {subcommand} a zone."))
    if not call.privileged:
        raise Failed(f"only a privileged user may {subcommand} a zone.")
    if not name:
        raise Failed("no zone specified")
    if name == GLOBAL:
        raise Failed(f"{subcommand} operation is invalid for the global zone.")
    if name.startswith("SUNW"):
        raise Failed(f"{subcommand} operation is invalid for zones starting with SUNW.")
    _check_state(context, subcommand, force)


def _check_state(context: Context, subcommand: str, force: bool) -> None:
    active = kernel_zone(context.world, context.name) is not None
    state = state_of(context.world, context.name)
    if subcommand in ("reboot", "shutdown") and not active:
        raise Failed("not running")
    if subcommand in OFF_ONLY and active:
        raise Failed(f"{subcommand} operation is invalid for {state} zones.")
    if subcommand == "uninstall" and state == "configured":
        raise Failed("is already in state 'configured'.")
    if subcommand in ("attach", "clone", "install"):
        if state == "installed":
            raise Failed("is already installed.")
        if state == "incomplete" and not (subcommand == "attach" and force):
            raise Failed("zone is incomplete; uninstall required.")
    if subcommand == "verify" and state == "incomplete":
        raise Failed("zone is incomplete; uninstall required.")
    below = ("configured",) if subcommand == "boot" and force else ("configured", "incomplete")
    if subcommand in ("boot", "ready", "detach", "move") and state in below:
        raise Failed(f"must be installed before {subcommand}.")
    if subcommand == "sysboot" and state != "installed":
        raise Failed(f"sysboot operation is invalid for {state} zones.")
