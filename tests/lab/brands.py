"""Brands: `/usr/lib/brand/NAME/config.xml`, read and checked afresh each time, and the hooks it names [zones 5].

A hook is a shell text, run as a real process. A hook file that begins with `NATIVE_HEAD` and a NAME is not: the
function registered under NAME plays it, so a data-only host needs neither a process per hook nor a `dladm` on the
search path.
On a lab host such a file is a program like any other, for whoever else starts it: the lab's own interpreter plays it.
"""

from __future__ import annotations

import contextlib
import io
import shlex
import socket
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from xml.parsers import expat

from lab import door
from lab.call import Call
from lab.faults import Killed
from lab.world import Dialect, NotEmulated, World
from lab.zonefiles import ZonecfgError, peek

OK, USAGE, NOT_COMPLETE, FATAL = 0, 253, 254, 255  # ZONE_SUBPROC_* [zones 5.4]

ORDER = (
    "modname", "initname", "restartinit", "restartinit0", "restartinitreboot", "login_cmd", "forcedlogin_cmd",
    "user_cmd", "install", "installopts", "boot", "sysboot", "halt", "shutdown", "verify_cfg", "verify_adm",
    "postattach", "postclone", "postinstall", "predetach", "attach", "detach", "clone", "presnap", "postsnap",
    "validatesnap", "preuninstall", "uninstall", "prestatechange", "poststatechange", "query", "security-flags",
    "privilege",
)  # fmt: skip
REQUIRED = ("initname", "login_cmd", "forcedlogin_cmd", "user_cmd", "install", "privilege")
ATTRIBUTES: Mapping[str, frozenset[str]] = {
    "brand": frozenset({"name"}),
    "privilege": frozenset({"set", "name", "ip-type"}),
}  # no other element has any
PRIVILEGE_SETS = ("default", "prohibited", "required")
DTD = "/brand.dtd.1"  # how the DOCTYPE's address ends; without one there is nothing to validate against
EXEC = "exec "  # what zoneadm and zoneadmd put before a text
TEXT_MAX = 1024  # PATH_MAX: the size of their buffers, EXEC and the final zero included

Native = Callable[[Call, list[str]], int]
NATIVE: dict[str, Native] = {}  # what a hook file of ours does, by its NAME; filled by lab.brand_hooks
INTERPRETER = "zonelab-hook"
NATIVE_HEAD = f"#!{door.STATE}/bin/{INTERPRETER} "


class InvalidBrand(Exception):
    """No such brand, or a config.xml that does not pass its DTD."""


class TooLong(Exception):
    """A hook's text that does not fit into the buffer of whoever is to run it."""


@dataclass(frozen=True)
class Brand:
    name: str
    elements: Mapping[str, str]

    def text(self, element: str) -> str:
        """The hook's text, "" when the element is absent or empty: no hook."""
        return self.elements.get(element, "")


def parse_brand(name: str, text: bytes) -> Brand:
    """Raises `InvalidBrand`: not well-formed, no DOCTYPE, unknown element, wrong order, wrong name [zones 5.1]; an
    attribute, an element or a text where the DTD has none (illumos usr/src/lib/libbrand/dtd/brand.dtd.1).
    """
    seen: list[str] = []
    elements: dict[str, str] = {}
    path: list[str] = []
    names: list[str] = []
    doctypes: list[tuple[str, str]] = []
    faults: list[str] = []

    def start(tag: str, attributes: dict[str, str]) -> None:
        path.append(tag)
        if not attributes.keys() <= ATTRIBUTES.get(tag, frozenset()):
            faults.append(f"attributes of {tag}")
        if len(path) == 1:
            names.append(attributes.get("name", "") if tag == "brand" else "")
        elif len(path) == 2:
            seen.append(tag)
        else:
            faults.append(f"an element in {path[1]}")
        if tag == "privilege" and (attributes.get("set") not in PRIVILEGE_SETS or "name" not in attributes):
            faults.append("a privilege without a name or a set")

    def data(piece: str) -> None:
        if len(path) == 2:
            elements[path[1]] = elements.get(path[1], "") + piece
        elif piece.strip():
            faults.append("a text outside of all elements")

    parser = expat.ParserCreate()
    parser.StartElementHandler = start
    parser.EndElementHandler = lambda _: path.pop()
    parser.CharacterDataHandler = data
    parser.StartDoctypeDeclHandler = lambda doctype, system, *_: doctypes.append((doctype, system or ""))
    parser.SkippedEntityHandler = lambda entity, _: faults.append(f"no entity {entity}")
    try:
        parser.Parse(text, True)
    except expat.ExpatError as trouble:
        raise InvalidBrand(str(trouble)) from None
    if [doctype for doctype, _ in doctypes] != ["brand"] or not doctypes[0][1].endswith(DTD) or names != [name]:
        raise InvalidBrand("DOCTYPE or name")
    if faults:
        raise InvalidBrand(faults[0])
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
    """Macros; an unknown one is dropped. Nothing is quoted [zones 5.1]. Raises `TooLong`."""
    values = {"z": zone, "R": zonepath, "Z": "global", "u": "root", "%": "%"}
    out, rest = "", text
    while True:
        before, percent, rest = rest.partition("%")
        out += before
        if not percent:
            return _fitting(out)
        out += values.get(rest[:1], "")
        rest = rest[1:]


def _fitting(line: str) -> str:
    if len(EXEC.encode()) + len(line.encode()) >= TEXT_MAX:
        raise TooLong
    return line


def _native(program: Path) -> Native | None:
    head = NATIVE_HEAD.encode()
    try:
        with program.open("rb") as file:
            first = file.readline(len(head) + 40)
    except OSError:
        return None
    return NATIVE.get(first[len(head) :].decode(errors="replace").strip()) if first.startswith(head) else None


def interpret(call: Call) -> int:
    """``zonelab-hook NAME FILE ARGUMENTS``: what the kernel makes of a hook file of ours that somebody executes."""
    name = "".join(call.argv[1:2])
    if name not in NATIVE:
        raise NotEmulated(f"a brand hook named {name!r}")
    return NATIVE[name](call, call.argv[3:])


def _relocated(world: World, text: str) -> tuple[str, Path]:
    """`text` with its first word taken from below the world's root, and that program."""
    word, blank, rest = text.lstrip().partition(" ")
    program = world.path(word)
    return (f"{shlex.quote(str(program))}{blank}{rest}" if word.startswith("/usr/lib/brand/") else text), program


@contextlib.contextmanager
def _streams(both: bool) -> Iterator[tuple[int, int]]:
    """Descriptors 0 and 2 of a state hook [zones 5.5].

    `both`: no input, and stderr joined to stdout. Otherwise what a daemon that closed everything has there: first the
    pipe of its own events, from which nothing ever comes and which never ends; second a socket that takes nothing.
    """
    if both:
        yield subprocess.DEVNULL, subprocess.STDOUT
        return
    own, theirs = socket.socketpair()
    with own, theirs, socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as nobodys:
        yield theirs.fileno(), nobodys.fileno()


def run_text(
    call: Call, text: str, environ: Mapping[str, str], both: bool = False
) -> subprocess.CompletedProcess[bytes]:
    """Run an expanded hook text as ``sh -c 'exec TEXT'``, as long as its standard output is open; `both`: see
    `_streams`. SIGPIPE is ignored in it, as in zoneadmd. Needs: no lock held.
    """
    shell, program = _relocated(call.world, text)
    native = _native(program)
    if native is None:
        with _streams(both) as (stdin, stderr):
            return subprocess.run(
                ["/bin/sh", "-c", f"{EXEC}{shell}"],
                stdin=stdin,
                stdout=subprocess.PIPE,
                stderr=stderr,
                env=dict(environ),
                cwd="/",
                check=False,
                restore_signals=False,
            )
    out, err = io.BytesIO(), io.BytesIO()
    inner = replace(call, argv=shlex.split(text), stdin=io.BytesIO(), stdout=out, stderr=out if both else err)
    inner.environ = environ
    inner.faults = []
    status = native(inner, inner.argv[1:])
    return subprocess.CompletedProcess(inner.argv, status, out.getvalue(), err.getvalue())


def run_through(call: Call, text: str, environ: Mapping[str, str]) -> int:
    """An expanded hook text on the command's own streams; a negative result is a signal. Needs: no lock held.

    Raises `Killed` when the command died meanwhile: the hook was left to itself, nothing follows from how it ended.
    """
    shell, program = _relocated(call.world, text)
    native = _native(program)
    if native is not None:
        words = shlex.split(text)
        return native(replace(call, argv=words, environ=environ, faults=[]), words[1:])
    status = call.spawn_through(["/bin/sh", "-c", f"{EXEC}{shell}"], environ)
    if call.linger(0):
        raise Killed
    return status


def run_zoneadm_hook(call: Call, text: str, arguments: Sequence[str] = ()) -> int:
    """A hook of zoneadm itself, as `run_through`; zoneadm ignores signals meanwhile, and says its lock is held
    [zones 5.5]. Raises `TooLong`.
    """
    line = _fitting(text + "".join(" " + word for word in arguments))
    call.ignore_signals(True)
    try:
        return run_through(call, line, {**call.environ, "_ZONEADM_LOCK_HELD": "1"})
    finally:
        call.ignore_signals(False)


def joins_stderr(world: World) -> bool:
    """Of a state hook's two streams OmniOS relays both, gate the standard output [zones 5.5]."""
    return world.dialect is Dialect.OMNIOS
