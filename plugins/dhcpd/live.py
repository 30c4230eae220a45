"""Reservations of the running server, through OMAPI: the key, what the server has, and what it lacks.

What dhcpd was told through OMAPI it keeps in its lease file, and writes there before it answers (services sheet 4.4).
So the lease file is read, and OMAPI is spoken only where something is to change.
"""

from __future__ import annotations

import base64
import re
import secrets
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from zonehookd.illumos import dhcpd, omapi, smf
from zonehookd.plugin import (
    CannotObserve,
    Change,
    Forget,
    HostReader,
    Query,
    Record,
    Remember,
    RemoveFile,
    Reply,
    WriteFile,
    served,
)

from .rules import Control, Rules

KEY = "omapi-key"  # kind of the record of the key file
_SECRET = re.compile(r'secret "([A-Za-z0-9+/]{43}=)";')
_KEY_BYTES = 32
_GROUPS = Path("/etc/group")
_OPEN = ("online", "degraded")

Steps = Iterator[Change | Remember | Forget | RemoveFile | WriteFile]


@dataclass(frozen=True)
class Live:
    """`control`: with the key that is in the file, else with a new one. `wanted`: reservations are to come through
    OMAPI. `hosts`: those of ours in the lease file; None: there is no lease file. `text`: the key file, None: not
    there; `mode` and `group` as ls prints them. `reader`: the group that is to read it, "" where there is none."""

    control: Control
    wanted: bool = False
    hosts: frozenset[str] | None = frozenset()
    text: str | None = None
    mode: str = ""
    group: str = ""
    reader: str = ""
    record: Record | None = None

    @property
    def on(self) -> bool:
        """The server is to listen to us: also for as long as it has hosts that came this way."""
        return self.wanted or bool(self.hosts)


async def observe(
    control_file: Path, port: int, group: str, leases: Path, wanted: bool, record: Record | None, host: HostReader
) -> Live:
    """Of the global zone. Raises CannotObserve."""
    text = host.read_file(control_file)
    found = _SECRET.search(text or "")
    key = found[1] if found else base64.b64encode(secrets.token_bytes(_KEY_BYTES)).decode()
    written = host.read_file(leases)
    hosts = None if written is None else frozenset(filter(omapi.ours, dhcpd.leased_hosts(written)))
    mode, owner = await host.ask(_rights(control_file)) if text is not None else ("", "")
    groups = {line.partition(":")[0] for line in (host.read_file(_GROUPS) or "").splitlines()}
    reader = group if group in groups else ""
    return Live(Control(port, control_file, key), wanted, hosts, text, mode, owner, reader, record)


def _rights(path: Path) -> Query[tuple[str, str]]:
    """(mode such as ``-rw-r-----``, group) of a file; a sign for an ACL behind the mode is left out."""

    def parse(reply: Reply) -> tuple[str, str]:
        words = reply.stdout.split()
        if reply.status != 0 or len(words) < 4:
            raise CannotObserve(f'"ls -l {path}": {reply.stderr.strip() or reply.stdout!r}')
        return words[0][:10], words[3]

    return Query(("ls", "-l", str(path)), parse)


def key_steps(live: Live, owner: Record) -> Steps:
    """The key file as it is to be: readable by root and by the group of dhcpd, by nobody else (services sheet 4.1)."""
    if not live.on:
        return
    file, mode = str(live.control.file), 0o640 if live.reader else 0o600
    text = (
        "# Made by zonehookd, which overwrites it: the key for OMAPI\n"
        f"key {live.control.name} {{\n  algorithm hmac-md5;\n"
        f'  secret "{live.control.key}";\n}};\n'
    )
    cause = "" if live.record is None else "missing" if live.text is None else "altered"
    if live.record is None:
        yield Remember(owner, "a key for OMAPI is made")
    if live.text != text:
        yield WriteFile(live.control.file, text, "the key for OMAPI", mode, cause)
    elif live.mode != f"-rw-{'r' if live.reader else '-'}-----":
        yield Change(("chmod", f"{mode:04o}", file), "who has the key for OMAPI may change reservations", cause=cause)
    if live.reader and (live.text != text or live.group != live.reader):
        yield Change(("chgrp", live.reader, file), f"dhcpd is in group {live.reader}, and must read its key")


def drop_key(live: Live, server: served.Server, seen: served.Seen) -> Steps:
    """The key goes when no configuration needs it any more: neither on disk nor that which may be put back."""
    texts = (seen.files.get(server.config), seen.book.good.config if seen.book.good else None)
    if live.record is None or live.on or seen.book.asked or any(str(live.control.file) in (t or "") for t in texts):
        return
    why = "OMAPI is no longer used"
    if live.text is not None:
        yield RemoveFile(live.control.file, why)
    yield Forget(KEY, live.record.name, why)


def bursts(live: Live, rules: Rules, server: served.Server, service: smf.Service | None) -> Steps:
    """What brings the running server from the hosts it has to those it should have. It runs, and listens to us."""
    if live.hosts is None:
        yield from _no_leases(live, server, service)
        return
    wanted: Mapping[str, omapi.Host] = rules.live() if live.wanted else {}
    add = [host for name, host in wanted.items() if name not in live.hosts]
    remove = live.hosts - set(wanted)
    if add or remove:
        words = [f"{len(add)} to add"] if add else []
        words += [f"{len(remove)} to remove"] if remove else []
        why = f"reservations of dhcpd: {', '.join(words)}"
        yield omapi.burst(add, remove, port=live.control.port, key=live.control.key, why=why)


def _no_leases(live: Live, server: served.Server, service: smf.Service | None) -> Steps:
    """A dhcpd whose lease file was deleted goes on and writes into nothing; restarted, it begins a new one. Once for
    each of its contracts: more would not help."""
    contract = str(service.contract) if service is not None else ""
    if live.record is None or live.record.facts.get("restarted") == contract:
        return
    why = "the lease file is gone, and what dhcpd leases is written nowhere"
    record = live.record
    yield Remember(Record(record.kind, record.name, record.owner, record.plugin, {"restarted": contract}), why)
    yield smf.restart(server.where, server.fmri, why=why)


def listens(seen: served.Seen) -> bool:
    """The server runs with a configuration that has OMAPI in it."""
    service, good = seen.service, seen.book.good
    return (
        service is not None
        and service.state in _OPEN
        and not service.next_state
        and seen.book.asked is None
        and good is not None
        and "omapi-port" in (good.config or "")
    )
