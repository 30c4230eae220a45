"""`/etc/zones/index` and `/etc/zones/NAME.xml`: the only truth about which zones are configured [zones 2.7, 4.8].

Both are re-read when they change on disk (known by mtime, inode and size), and replaced by rename(2) only, so a reader
never meets half a file. The order of the steps is libzonecfg's: a create writes the XML first and the index second, a
delete the other way round; whoever looks in between sees what a real host would show.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import string
import uuid as uuids
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from weakref import WeakKeyDictionary

from lab.world import GLOBAL, Dialect, KernelZone, Status, World
from lab.zonexml import InvalidDocument, Resource, ZoneConfig, parse, render

__all__ = [
    "CONFIGURED", "INCOMPLETE", "INSTALLED", "STATES", "IndexEntry", "Resource", "ZoneConfig", "ZonecfgError",
    "delete", "index_entries", "index_entry", "kernel_zone", "load", "peek", "save", "seed", "set_state",
    "set_zonepath", "snapshot_path", "state_of",
]  # fmt: skip

ETC_ZONES = "/etc/zones"
INDEX = "/etc/zones/index"
CONFIGURED, INCOMPLETE, INSTALLED = "configured", "incomplete", "installed"
INDEX_STATES = (CONFIGURED, INCOMPLETE, INSTALLED)
STATES = (*INDEX_STATES, "ready", "running", "shutting_down", "down")  # position = number [zones 1.1]

NO_ZONE = "No such zone configured"
ADMIN_STATE = {
    Status.UNINITIALIZED: "ready",
    Status.INITIALIZED: "ready",
    Status.READY: "ready",
    Status.BOOTING: "running",
    Status.RUNNING: "running",
    Status.SHUTTING_DOWN: "shutting_down",
    Status.EMPTY: "shutting_down",
    Status.DOWN: "down",
    Status.DYING: "down",
    Status.DEAD: "down",
}


class ZonecfgError(Exception):
    """A libzonecfg error; `text` is its `zonecfg_strerror` text [zones 4.9]."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.text = text


@dataclass(frozen=True)
class IndexEntry:
    """One line of the index. `uuid` is "" when the zone has none."""

    name: str
    state: str
    zonepath: str
    uuid: str = ""


FileKey = tuple[int, int, int]  # mtime_ns, inode, size


@dataclass
class _Cache:
    index_key: FileKey | None = None
    lines: list[str] = field(default_factory=list)
    entries: dict[str, IndexEntry] = field(default_factory=dict)
    line_of: dict[str, int] = field(default_factory=dict)
    configs: dict[str, tuple[FileKey, ZoneConfig]] = field(default_factory=dict)
    debugid: int = -1


_caches: WeakKeyDictionary[World, _Cache] = WeakKeyDictionary()


def _cache(world: World) -> _Cache:
    found = _caches.get(world)
    if found is None:
        found = _caches.setdefault(world, _Cache())
    return found


def _key(path: str) -> FileKey:
    stat = os.stat(path)  # noqa: PTH116 -- ten thousand of these per listing
    return stat.st_mtime_ns, stat.st_ino, stat.st_size


# the index ---------------------------------------------------------------------------
def parse_index_line(line: str) -> IndexEntry | None:
    """None for a comment, a blank line and whatever is not an entry."""
    if line.startswith("#") or ":" not in line:
        return None
    name, _, rest = line.partition(":")
    state, _, rest = rest.partition(":")
    if rest.startswith('"'):
        zonepath, _, rest = rest[1:].partition('"')
        uuid = rest.removeprefix(":")
    else:
        zonepath, _, uuid = rest.partition(":")
    if state not in INDEX_STATES:
        return None
    return IndexEntry(name, state, zonepath, uuid.partition(":")[0])


def index_line(entry: IndexEntry) -> str:
    path = f'"{entry.zonepath}"' if ":" in entry.zonepath else entry.zonepath
    return f"{entry.name}:{entry.state}:{path}:{entry.uuid}"


def _index(world: World) -> _Cache:
    cache = _cache(world)
    path = str(world.path(INDEX))
    with world.lock:
        try:
            key = _key(path)
        except FileNotFoundError:
            return _Cache()
        if key != cache.index_key:
            lines = Path(path).read_text().splitlines()
            entries: dict[str, IndexEntry] = {}
            line_of: dict[str, int] = {}
            for number, line in enumerate(lines):
                entry = parse_index_line(line)
                if entry is not None and entry.name not in entries:
                    entries[entry.name] = entry
                    line_of[entry.name] = number
            cache.lines, cache.entries, cache.line_of, cache.index_key = lines, entries, line_of, key
        return cache


def index_entries(world: World) -> dict[str, IndexEntry]:
    """Every entry by name, in the order of the file, `global` included."""
    with world.lock:
        return dict(_index(world).entries)


def index_entry(world: World, name: str) -> IndexEntry | None:
    return _index(world).entries.get(name)


def _replace(world: World, target: Path, text: str) -> None:
    """A temporary file beside it, mode 0644, renamed over `target`."""
    letters = string.ascii_letters + string.digits
    temporary = world.path(ETC_ZONES) / ("zonecfg." + "".join(secrets.choice(letters) for _ in range(6)))
    temporary.write_text(text)
    temporary.chmod(0o644)
    temporary.replace(target)


def _write_index(world: World, cache: _Cache) -> None:
    path = world.path(INDEX)
    _replace(world, path, "".join(line + "\n" for line in cache.lines))
    cache.index_key = _key(str(path))


def _put(world: World, entry: IndexEntry, old_name: str | None = None) -> None:
    """Append a new line, or change the one of `old_name` (default: same name) in its place."""
    with world.lock:
        cache = _index(world)
        name = old_name or entry.name
        number = cache.line_of.get(name)
        if number is None:
            cache.line_of[entry.name] = len(cache.lines)
            cache.lines.append(index_line(entry))
            cache.entries[entry.name] = entry
        else:
            cache.lines[number] = index_line(entry)
            if entry.name == name:
                cache.entries[name] = entry
            else:
                cache.entries = {
                    (entry.name if k == name else k): (entry if k == name else v) for k, v in cache.entries.items()
                }
                cache.line_of[entry.name] = cache.line_of.pop(name)
        _write_index(world, cache)


def _drop(world: World, name: str) -> None:
    with world.lock:
        cache = _index(world)
        number = cache.line_of.get(name)
        if number is None:
            raise ZonecfgError(NO_ZONE)
        del cache.lines[number]
        _write_index(world, cache)
        cache.index_key = None  # every later line has moved up: read it afresh


def _moved(entry: IndexEntry, state: str) -> IndexEntry:
    """`entry` in another state, with the uuid's life: made on the first way up, wiped on the way down [zones 2.7]."""
    uuid = entry.uuid
    if INDEX_STATES.index(state) < INDEX_STATES.index(entry.state):
        uuid = ""
    if not uuid and state != CONFIGURED:
        uuid = str(uuids.uuid4())
    return replace(entry, state=state, uuid=uuid)


def set_state(world: World, name: str, state: str) -> None:
    """Write the index state of a configured zone. Raises `ZonecfgError` when there is no such zone."""
    with world.lock:
        entry = index_entry(world, name)
        if entry is None:
            raise ZonecfgError(NO_ZONE)
        _put(world, _moved(entry, state))


def set_zonepath(world: World, name: str, zonepath: str) -> None:
    """`zoneadm move`: XML and index."""
    with world.lock:
        config = load(world, name)
        config.attributes["zonepath"] = zonepath
        save(world, config)


# states ---------------------------------------------------------------------------
def kernel_zone(world: World, name: str) -> KernelZone | None:
    """What `getzoneidbyname` finds: nothing below READY [zones 1.1]."""
    zone = world.kernel_zones.get(name)
    return zone if zone is not None and zone.status >= Status.READY else None


def state_of(world: World, name: str) -> str:
    """The admin state [zones 1.1], the kernel asked first. Raises `ZonecfgError` for an unknown zone."""
    if name == GLOBAL:
        return "running"
    zone = kernel_zone(world, name)
    if zone is not None:
        return ADMIN_STATE[zone.status]
    entry = index_entry(world, name)
    if entry is None:
        raise ZonecfgError(NO_ZONE)
    return entry.state


# the documents ---------------------------------------------------------------------------
def xml_path(world: World, name: str) -> Path:
    return world.path(f"{ETC_ZONES}/{name}.xml")


def snapshot_path(world: World, name: str) -> Path:
    """The copy a running zone was booted with."""
    return world.path(f"/var/run/zones/{name}.snapshot.xml")


def peek(world: World, name: str) -> ZoneConfig:
    """The configuration of `name` (a template's too), shared: not to be changed. Raises `ZonecfgError`."""
    path = f"{world.root}{ETC_ZONES}/{name}.xml"
    configs = _cache(world).configs
    try:
        key = _key(path)
        cached = configs.get(name)
        if cached is not None and cached[0] == key:
            return cached[1]
        config = parse(Path(path).read_bytes(), world.dialect)
    except FileNotFoundError:
        raise ZonecfgError(NO_ZONE) from None
    except (InvalidDocument, IsADirectoryError):
        raise ZonecfgError("Invalid document") from None
    except PermissionError:
        raise ZonecfgError("Permission denied") from None
    configs[name] = (key, config)
    return config


def load(world: World, name: str) -> ZoneConfig:
    """As `peek`, but a copy of one's own."""
    return peek(world, name).copy()


def _next_debugid(world: World) -> int:
    cache = _cache(world)
    if cache.debugid < 0:
        cache.debugid = 0
        for name in index_entries(world):
            with contextlib.suppress(ZonecfgError, ValueError):
                cache.debugid = max(cache.debugid, int(peek(world, name).attributes.get("debugid", "0")))
    cache.debugid += 1
    return cache.debugid


def save(
    world: World,
    config: ZoneConfig,
    old_name: str | None = None,
    fresh: bool = False,
    between: Callable[[], None] = lambda: None,
) -> None:
    """Commit: XML by rename-over, then the index line, which is rewritten even if it stays the same.

    `old_name` is given for a rename; `fresh` makes the zone `configured` without a uuid (create -F). `between` runs
    when the XML is there and the index is not: where a killed zonecfg leaves its worst traces.
    """
    name = config.name
    with world.lock:
        entry = index_entry(world, old_name or name)
        if world.dialect is Dialect.OMNIOS and "debugid" not in config.attributes:
            config.attributes["debugid"] = str(_next_debugid(world))
        target = xml_path(world, name)
        backup = world.path(f"{ETC_ZONES}/.backup.{os.getpid()}.{name}.xml")
        if target.exists():
            backup.unlink(missing_ok=True)
            backup.hardlink_to(target)
        _replace(world, target, render(config))
        between()
        if entry is None:
            _put(world, IndexEntry(name, CONFIGURED, config.zonepath))
        else:
            changed = replace(entry, name=name, zonepath=config.zonepath)
            _put(world, replace(changed, state=CONFIGURED, uuid="") if fresh else changed, old_name)
        backup.unlink(missing_ok=True)
        if old_name is not None and old_name != name:
            xml_path(world, old_name).unlink(missing_ok=True)


def delete(world: World, name: str, between: Callable[[], None] = lambda: None) -> None:
    """The index line first, the XML second. Raises `ZonecfgError` for an unknown zone."""
    with world.lock:
        _drop(world, name)
        between()
        xml_path(world, name).unlink(missing_ok=True)
        _cache(world).configs.pop(name, None)


def seed(world: World, zones: Iterable[tuple[ZoneConfig, str]]) -> None:
    """Many zones at once, for tests: every XML, and one rewrite of the index."""
    with world.lock:
        cache = _index(world)
        for config, state in zones:
            xml_path(world, config.name).write_text(render(config))
            entry = _moved(IndexEntry(config.name, CONFIGURED, config.zonepath), state)
            cache.lines.append(index_line(entry))
        _write_index(world, cache)
        cache.index_key = None
