"""The keys of the event stream: a folder of CURVE certificates in the format of pyzmq and CZMQ.

    KEYS/server.key          the daemon's public key
    KEYS/server.key_secret   both its keys; 0600
    KEYS/clients/NAME.key    the public key of somebody who may subscribe

Nothing else may lie there: a file that nobody knows is more often a key that somebody thinks is in force, or is not.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import zmq
from zmq.auth import load_certificate

from zonehookd.errors import ConfigError, NotFound, ZonehookError

PUBLIC, SECRET = ".key", ".key_secret"
_SERVER, _CLIENTS = "server", "clients"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_PUBLIC_FILE = """# A public key of zonehookd's event stream: {name}
metadata
    name = "{name}"
curve
    public-key = "{public}"
"""
_BOTH_FILE = """# A secret key of zonehookd's event stream: {name}. Whoever has this file is {name}.
metadata
    name = "{name}"{server}
curve
    public-key = "{public}"
    secret-key = "{secret}"
"""


@dataclass(frozen=True, slots=True)
class Keys:
    """Keys in Z85 as ZeroMQ takes them. `clients`: public key -> name."""

    public: bytes
    secret: bytes
    clients: dict[bytes, str]

    @property
    def names(self) -> list[str]:
        return sorted(self.clients.values())


@dataclass(frozen=True, slots=True)
class ClientKey:
    """What a subscriber needs; `server` is the daemon's public key."""

    public: bytes
    secret: bytes
    server: bytes


def load(folder: Path) -> Keys:
    """Raises ConfigError: no folder, a secret that others can read, keys that others can write, an unknown file."""
    try:
        _ours(folder, stat.S_IFDIR)
        clients = folder / _CLIENTS
        _ours(clients, stat.S_IFDIR)
        for each in sorted(folder.iterdir()):
            if each.name not in (f"{_SERVER}{PUBLIC}", f"{_SERVER}{SECRET}", _CLIENTS):
                raise ConfigError(f"{each}: no file of ours (hint: take it out of the folder)")
        public, secret = _secret(folder / f"{_SERVER}{SECRET}")
        return Keys(public, secret, dict(_named(clients)))
    except FileNotFoundError as problem:
        raise ConfigError(f"{problem.filename}: is not there", hint="zonehookctl keys init makes the keys") from problem
    except OSError as problem:
        raise ConfigError(f"cannot read the keys: {problem}") from problem


def _named(folder: Path) -> Iterator[tuple[bytes, str]]:
    seen: dict[bytes, Path] = {}
    for each in sorted(folder.iterdir()):
        if each.suffix != PUBLIC or not _NAME.fullmatch(each.stem):
            raise ConfigError(f"{each}: no public key of a subscriber (hint: take it out of the folder)")
        _ours(each, stat.S_IFREG)
        public, secret = _certificate(each)
        if secret is not None:
            raise ConfigError(f"{each}: holds a secret key, which belongs to the subscriber alone")
        if public in seen:
            raise ConfigError(f"{each}: is the same key as {seen[public]}, so neither can be revoked alone")
        seen[public] = each
        yield public, each.stem


def _ours(path: Path, kind: int, others: int = 0o022) -> None:
    """Raises ConfigError unless it is of that kind, ours, and without the permissions `others`."""
    found = path.lstat()
    if stat.S_IFMT(found.st_mode) != kind:
        raise ConfigError(f"{path}: is no {'folder' if kind == stat.S_IFDIR else 'plain file'}")
    if found.st_uid != os.geteuid():
        raise ConfigError(f"{path}: belongs to user {found.st_uid}, not to us ({os.geteuid()})")
    if found.st_mode & others:
        what = "read" if others & 0o044 else "change"
        hint = f"chmod {'go-rwx' if others & 0o044 else 'go-w'} {path}"
        raise ConfigError(f"{path}: others may {what} it (mode {stat.S_IMODE(found.st_mode):04o})", hint=hint)


def _secret(path: Path) -> tuple[bytes, bytes]:
    _ours(path, stat.S_IFREG, 0o077)
    public, secret = _certificate(path)
    if secret is None:
        raise ConfigError(f"{path}: there is no secret key in it")
    try:
        good = zmq.curve_public(secret) == public
    except (ValueError, zmq.ZMQError):
        good = False
    if not good:
        raise ConfigError(f"{path}: its secret key does not belong to its public key")
    return public, secret


def _certificate(path: Path) -> tuple[bytes, bytes | None]:
    try:
        public, secret = load_certificate(path)
    except ValueError as problem:
        raise ConfigError(f"{path}: there is no public key in it") from problem
    if len(public) != 40:  # 32 bytes in Z85
        raise ConfigError(f"{path}: its public key is no key")
    return public, secret


def client(file: Path) -> ClientKey:
    """A subscriber's file, as `new` made it. Raises ConfigError."""
    try:
        public, secret = _secret(file)
        server = re.search(r'^\s*server-key\s*=\s*"(\S{40})"', file.read_text(encoding="utf-8"), re.MULTILINE)
    except (OSError, UnicodeDecodeError) as problem:
        raise ConfigError(f"{file}: cannot read it: {problem}") from problem
    if server is None:
        raise ConfigError(f"{file}: the daemon's public key is not in it", hint='metadata: server-key = "…"')
    return ClientKey(public, secret, server[1].encode())


def init(folder: Path) -> None:
    """The folder and the daemon's own keys. Raises ZonehookError when they are there already, or cannot be made."""
    public, secret = (each.decode() for each in zmq.curve_keypair())
    texts = {"name": "zonehookd", "public": public, "secret": secret, "server": ""}
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        (folder / _CLIENTS).mkdir(mode=0o700, exist_ok=True)
        write_new(folder / f"{_SERVER}{SECRET}", _BOTH_FILE.format_map(texts))
        write_new(folder / f"{_SERVER}{PUBLIC}", _PUBLIC_FILE.format_map(texts))
    except FileExistsError as problem:
        hint = "every subscriber has its public half; remove the folder, and no key of theirs is good any more"
        raise ZonehookError(f"{problem.filename}: is there already, and stays", hint=hint) from problem
    except OSError as problem:
        raise ZonehookError(f"cannot make the keys: {problem}") from problem


def new(folder: Path, name: str) -> str:
    """The file of a new subscriber, which is kept nowhere; his public key is, in the folder. Raises ZonehookError."""
    if not _NAME.fullmatch(name):
        hint = "letters, digits, dot, dash and underscore, at most 64, the first a letter or a digit"
        raise ZonehookError(f"{name!r} is no name for a key", hint=hint)
    keys = load(folder)
    public, secret = (each.decode() for each in zmq.curve_keypair())
    server = f'\n    server-key = "{keys.public.decode()}"'
    texts = {"name": name, "public": public, "secret": secret, "server": server}
    try:
        write_new(folder / _CLIENTS / f"{name}{PUBLIC}", _PUBLIC_FILE.format_map(texts))
    except FileExistsError as problem:
        hint = f"zonehookctl keys revoke {name}, or take another name"
        raise ZonehookError(f"there is a key of {name} already", hint=hint) from problem
    except OSError as problem:
        raise ZonehookError(f"cannot keep the key: {problem}") from problem
    return _BOTH_FILE.format_map(texts)


def revoke(folder: Path, name: str) -> None:
    """Gone from the folder, also after a power cut. Raises ZonehookError; it does not need the rest to be in order."""
    try:
        if not _NAME.fullmatch(name):
            raise FileNotFoundError
        (folder / _CLIENTS / f"{name}{PUBLIC}").unlink()
        _sync(folder / _CLIENTS)
    except FileNotFoundError as problem:
        known = ", ".join(sorted(each.stem for each in (folder / _CLIENTS).glob(f"*{PUBLIC}"))) or "none"
        raise NotFound(f"there is no key of {name}", hint=f"there are: {known}") from problem
    except OSError as problem:
        raise ZonehookError(f"cannot remove the key: {problem}") from problem


def write_new(path: Path, text: str) -> None:
    """0600 from its first moment. Raises OSError; FileExistsError rather than write over anything."""
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    _sync(path.parent)


def _sync(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
