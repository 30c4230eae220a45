"""`zoneadm list` [zones 3.3]."""

from __future__ import annotations

from lab.brands import default_brand
from lab.world import GLOBAL, Dialect, Status
from lab.zoneadm_context import Context, Failed, UsageError, options
from lab.zoneadm_verify import brand_allows
from lab.zonefiles import ADMIN_STATE, IndexEntry, ZonecfgError, index_entries, index_entry, kernel_zone, peek, state_of

Row = tuple[str, str, str, str, str, str, str, str]  # zoneid, name, state, path, uuid, brand, ip-type, debugid
TABLE = "%4s %-16s %-10s %-30s %-8s %-6s\n"


def list_zones(context: Context, words: list[str]) -> int:
    flags, rest = options(context, "list", words, "cinpv")
    if context.name and (rest or flags & set("cin")):
        raise UsageError("list")
    if {"p", "v"} <= flags:
        raise Failed("list -p and -v are mutually exclusive.", bare=True)
    if context.call.zone != GLOBAL:
        rows = [_inside(context)]
    elif context.name:
        rows = _one(context)
    else:
        rows = _all(context, flags)
    _print(context, rows, flags)
    if (
        context.name
        and context.name != GLOBAL
        and context.call.zone == GLOBAL
        and not brand_allows(context, "list", [])
    ):
        return 1
    return 0


def _print(context: Context, rows: list[Row], flags: set[str]) -> None:
    if "p" in flags:
        text = "".join(_parseable(context, row) for row in rows)
    elif "v" in flags:
        head = TABLE % ("ID", "NAME", "STATUS", "PATH", "BRAND", "IP")
        text = head + "".join(TABLE % (row[0], row[1], row[2], row[3], row[5], row[6]) for row in rows)
    else:
        text = "".join(f"{row[1]}\n" for row in rows)
    context.call.out(text)


def _parseable(context: Context, row: Row) -> str:
    """Colons are escaped in the zonepath only."""
    zoneid, name, state, path, uuid, brand, ip_type, debugid = row
    line = f"{zoneid}:{name}:{state}:{path.replace(':', chr(92) + ':')}:{uuid}:{brand}:{ip_type}"
    return f"{line}:{debugid}\n" if context.world.dialect is Dialect.OMNIOS else f"{line}\n"


def _global(context: Context) -> Row:
    return ("0", GLOBAL, "running", "/", "", default_brand(context.world), "shared", "0")


def _row(context: Context, entry: IndexEntry, zoneid: str, state: str) -> Row | None:
    """None when the zone has just been deleted; or, with a line on stderr, when its XML cannot be read."""
    try:
        config = peek(context.world, entry.name)
    except ZonecfgError as trouble:
        if index_entry(context.world, entry.name) is None:
            return None
        context.call.err(f"zoneadm: {entry.name}: could not get brand name: {trouble.text}\n")
        return None
    ip_type = "excl" if config.exclusive else "shared"
    debugid = config.attributes.get("debugid", "")
    return (zoneid, entry.name, state, entry.zonepath, entry.uuid, config.brand, ip_type, debugid)


def _all(context: Context, flags: set[str]) -> list[Row]:
    """Active zones in kernel order, the rest in index order."""
    world = context.world
    with world.lock:
        active = [zone for zone in world.kernel_zones.values() if zone.status >= Status.READY]
        entries = index_entries(world)
    rows = [] if "n" in flags else [_global(context)]
    names = {GLOBAL}
    for zone in active:
        names.add(zone.name)
        entry = entries.get(zone.name) or IndexEntry(zone.name, "installed", zone.zonepath)
        row = _row(context, entry, str(zone.zoneid), ADMIN_STATE[zone.status])
        if row is not None:
            rows.append(row)
    wanted = ("configured", "incomplete", "installed") if "c" in flags else ("installed",) if "i" in flags else ()
    for entry in entries.values() if wanted else ():
        if entry.state in wanted and entry.name not in names:
            row = _row(context, entry, "-", entry.state)
            if row is not None:
                rows.append(row)
    return rows


def _one(context: Context) -> list[Row]:
    if context.name == GLOBAL:
        return [_global(context)]
    world = context.world
    with world.lock:
        zone = kernel_zone(world, context.name)
        entry = index_entries(world).get(context.name)
        if entry is None and zone is not None:
            entry = IndexEntry(context.name, "installed", zone.zonepath)
        if entry is None:
            raise Failed(f"{context.name}: No such zone configured", bare=True)
        row = _row(context, entry, str(zone.zoneid) if zone else "-", state_of(world, context.name))
    return [row] if row is not None else []


def _inside(context: Context) -> Row:
    """A zone sees itself only, at ``/``."""
    world = context.world
    zone = world.kernel_zones[context.call.zone]
    entry = index_entries(world).get(zone.name)
    ip_type = "excl" if zone.exclusive else "shared"
    return (str(zone.zoneid), zone.name, "running", "/", entry.uuid if entry else "", zone.brand, ip_type, "")
