"""Brands: `/usr/lib/brand/NAME/config.xml`, read and checked afresh each time, and the hooks it names [zones 5].

A hook is a shell text, run as a real process. A hook file whose first line is ``#!zonelab NAME`` is not: the function
registered under NAME plays it, so a data-only host needs neither a process per hook nor a `dladm` on the search path.
"""

from __future__ import annotations

import io
import shlex
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from xml.parsers import expat

from lab.call import Call
from lab.world import Dialect, World
from lab.zonefiles import ZonecfgError, peek

OK, USAGE, NOT_COMPLETE, FATAL = 0, 253, 254, 255  # ZONE_SUBPROC_* [zones 5.4]

ORDER = (
    "modname", "initname", "restartinit", "restartinit0", "restartinitreboot", "login_cmd", "forcedlogin_cmd",
    "user_cmd", "install", "installopts", "boot", "sysboot", "halt", "shutdown", "verify_cfg", "verify_adm",
    "postattach", "postclone", "postinstall", "predetach", "attach", "detach", "clone", "presnap", "postsnap",
    "validatesnap", "preuninstall", "uninstall", "prestatechange", "poststatechange", "query", "security-flags",
    "privilege",
)  # fmt: skip
REQUIRED = ("modname", "initname", "login_cmd", "forcedlogin_cmd", "user_cmd", "install", "privilege")

Native = Callable[[Call, list[str]], int]
NATIVE: dict[str, Native] = {}  # what a ``#!zonelab NAME`` hook does; filled by lab.brand_hooks


class InvalidBrand(Exception):
    """No such brand, or a config.xml that does not pass its DTD."""


@dataclass(frozen=True)
class Brand:
    name: str
    elements: Mapping[str, str]

    def text(self, element: str) -> str:
        """The hook's text, "" when the element is absent or empty: no hook."""
        return self.elements.get(element, "")


def parse_brand(name: str, text: bytes) -> Brand:
    """Raises `InvalidBrand`: not well-formed, no DOCTYPE, unknown element, wrong order, wrong name [zones 5.1]."""
    seen: list[str] = []
    elements: dict[str, str] = {}
    path: list[str] = []
    names: list[str] = []
    doctypes: list[str] = []

    def start(tag: str, attributes: dict[str, str]) -> None:
        path.append(tag)
        if len(path) == 1:
            names.append(attributes.get("name", "") if tag == "brand" else "")
        elif len(path) == 2:
            seen.append(tag)

    def data(piece: str) -> None:
        if len(path) == 2:
            elements[path[1]] = elements.get(path[1], "") + piece

    parser = expat.ParserCreate()
    parser.StartElementHandler = start
    parser.EndElementHandler = lambda _: path.pop()
    parser.CharacterDataHandler = data
    parser.StartDoctypeDeclHandler = lambda doctype, *_: doctypes.append(doctype)
    try:
        parser.Parse(text, True)
    except expat.ExpatError as trouble:
        raise InvalidBrand(str(trouble)) from None
    if doctypes != ["brand"] or names != [name]:
        raise InvalidBrand("DOCTYPE or name")
    if any(tag not in ORDER for tag in seen) or any(tag not in seen for tag in REQUIRED):
        raise InvalidBrand("elements")
    places = [ORDER.index(tag) for tag in seen]
    if places != sorted(places) or any(seen.count(tag) > 1 for tag in seen if tag != "privilege"):
        raise InvalidBrand("order")
    return Brand(name, elements)


def open_brand(world: World, name: str) -> Brand:
    """Raises `InvalidBrand`."""
    try:
        text = world.path(f"/usr/lib/brand/{name}/config.xml").read_bytes()
    except OSError as trouble:
        raise InvalidBrand(str(trouble)) from None
    return parse_brand(name, text)


def default_brand(world: World) -> str:
    """The brand of the template SUNWdefault; `zoneadm list` prints it for the global zone."""
    try:
        return peek(world, "SUNWdefault").brand
    except ZonecfgError:
        return "ipkg"


def expand(text: str, zone: str, zonepath: str) -> str:
    """Macros; an unknown one is dropped. Nothing is quoted [zones 5.1]."""
    values = {"z": zone, "R": zonepath, "Z": "global", "u": "root", "%": "%"}
    out, rest = "", text
    while True:
        before, percent, rest = rest.partition("%")
        out += before
        if not percent:
            return out
        out += values.get(rest[:1], "")
        rest = rest[1:]


def _native(program: Path) -> Native | None:
    try:
        with program.open("rb") as file:
            first = file.readline(80)
    except OSError:
        return None
    return (
        NATIVE.get(first.decode(errors="replace").removeprefix("#!zonelab ").strip())
        if first[:10] == b"#!zonelab "
        else None
    )


def _relocated(world: World, text: str) -> tuple[str, Path]:
    """`text` with its first word taken from below the world's root, and that program."""
    word, blank, rest = text.lstrip().partition(" ")
    program = world.path(word)
    return (f"{shlex.quote(str(program))}{blank}{rest}" if word.startswith("/usr/lib/brand/") else text), program


def run_text(
    call: Call, text: str, environ: Mapping[str, str], both: bool = False
) -> subprocess.CompletedProcess[bytes]:
    """Run an expanded hook text as ``sh -c 'exec TEXT'``; `both` joins stderr to stdout. Needs: no lock held."""
    shell, program = _relocated(call.world, text)
    native = _native(program)
    if native is None:
        return call.spawn(["/bin/sh", "-c", ("exec 2>&1; " if both else "") + "exec " + shell], environ)
    out, err = io.BytesIO(), io.BytesIO()
    inner = replace(call, argv=shlex.split(text), stdin=io.BytesIO(), stdout=out, stderr=out if both else err)
    inner.environ = environ
    inner.faults = []
    status = native(inner, inner.argv[1:])
    return subprocess.CompletedProcess(inner.argv, status, out.getvalue(), err.getvalue())


def run_zoneadm_hook(call: Call, text: str, arguments: Sequence[str] = ()) -> int:
    """A hook of zoneadm itself: our stdout, stderr and environment. A negative result is a killing signal."""
    line = text + "".join(" " + word for word in arguments)
    done = run_text(call, line, {**call.environ, "_ZONEADM_LOCK_HELD": "1"})
    call.stdout.write(done.stdout)
    call.stderr.write(done.stderr)
    return done.returncode


def joins_stderr(world: World) -> bool:
    """OmniOS relays a state hook's stderr too; gate leaves it to whatever fd 2 is [zones 5.5]."""
    return world.dialect is Dialect.OMNIOS
