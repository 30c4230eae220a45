"""dnsmasq: the machine's own, but as it is built for illumos, without inotify [services 5.2]."""

from __future__ import annotations

import stat
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

from lab import real_programs
from lab.call import Call
from lab.getopt import getopt
from lab.ipadm_conf import root_of
from lab.world import Dialect, NotEmulated

# dnsmasq's own, by which the value of an option is known.
_OPTIONS = "951yZDNLERKzowefnbvhdkqr:m:p:c:l:s:i:t:u:g:a:x:S:C:A:T:H:Q:I:B:F:G:O:M:X:V:U:j:P:J:W:Y:2:4:6:7:8:0:3:"
_LONGS = {"conf-file": "C", "conf-dir": "7", "dhcp-range": "F"}
_WITHOUT_START = ("--test", "--version", "--help", "-v", "-w")
_NEEDS_INOTIFY = ("hostsdir", "dhcp-hostsdir", "dhcp-optsdir")
_DEFAULT = "/etc/dnsmasq.conf"
_NO_FILE = 3  # exit status
_DEEPEST = 8  # configuration files that name configuration files


def main(call: Call) -> int:
    arguments = call.argv[1:]
    if not any(word in _WITHOUT_START for word in arguments):
        used = set(_settings(call, arguments))
        if used & set(_NEEDS_INOTIFY):
            call.err("\ndnsmasq: dhcp-hostsdir, dhcp-optsdir and hostsdir are not supported on this platform\n")
            return 1
        if call.world.dialect is Dialect.OMNIOS and "SMF_FMRI" in call.environ:
            if "dhcp-range" in used:
                raise NotEmulated("DHCP from OmniOS' dnsmasq service, whose user may not serve it [services 5.1]")
            for name, file in _main_files(call, arguments):
                if file.exists() and not file.stat().st_mode & stat.S_IROTH:  # the service's own user is not root
                    call.err(f"\ndnsmasq: cannot read {name}: Permission denied\n")
                    return _NO_FILE
    if call.world.root != Path("/") and "--test" in arguments:
        return _tested_in_process(call, arguments)
    raise real_programs.become(call, changes_user=True)


def _tested_in_process(call: Call, arguments: list[str]) -> int:
    """Outside a host a file is not where its name says: it is tested together with those it names, as one."""
    root = root_of(call.world, call.zone)
    with TemporaryDirectory() as folder:
        words = []
        for number, word in enumerate(arguments):
            if word.startswith("/"):
                whole = Path(folder, str(number))
                whole.write_text("".join(f"{line}\n" for line in _lines(root / word.lstrip("/"), root, 0)))
                word = str(whole)
            words.append(word)
        done = call.spawn(["dnsmasq", *words], {"PATH": "/usr/sbin:/usr/bin"})
        said = done.stderr.decode()
        for number, word in enumerate(words):
            said = said.replace(word, arguments[number])
    call.out(done.stdout.decode())
    call.err(said)
    return done.returncode


def _lines(file: Path, root: Path, depth: int) -> Iterator[str]:
    for line in file.read_text().splitlines():
        name, _, value = (part.strip() for part in line.partition("="))
        other = root / value.lstrip("/")
        if name == "conf-file" and depth < _DEEPEST and other.is_file():
            yield from _lines(other, root, depth + 1)
        else:
            yield line


def _main_files(call: Call, arguments: list[str]) -> list[tuple[str, Path]]:
    """(name as given, file seen from the lab) of those the command line names, or the default one."""
    root = root_of(call.world, call.zone)
    options, _ = getopt(arguments, _OPTIONS, permute=True, longs=_LONGS)
    names = [option.value for option in options if option.letter == "C"] or [_DEFAULT]
    return [(name, root / (name if name.startswith("/") else f"{call.cwd}/{name}").lstrip("/")) for name in names]


def _settings(call: Call, arguments: list[str]) -> Iterator[str]:
    """Names of all the settings it will meet, on its command line and in its files."""
    root = root_of(call.world, call.zone)
    options, _ = getopt(arguments, _OPTIONS, permute=True, longs=_LONGS)
    yield from (word[2:].partition("=")[0] for word in arguments if word.startswith("--"))
    yield from ("dhcp-range" for option in options if option.letter == "F")
    for _, file in _main_files(call, arguments):
        yield from _of_file(file, root, 0)
    for option in options:
        if option.letter == "7":
            yield from _of_folder(option.value, root, 0)


def _of_file(file: Path, root: Path, depth: int) -> Iterator[str]:
    """What cannot be read is dnsmasq's own to complain about."""
    try:
        lines = file.read_text(errors="replace").splitlines()
    except OSError:
        return
    for line in lines:
        name, _, value = (part.strip() for part in line.partition("#")[0].partition("="))
        if name:
            yield name
        if depth < _DEEPEST and name == "conf-file" and value:
            yield from _of_file(root / value.lstrip("/"), root, depth + 1)
        if depth < _DEEPEST and name == "conf-dir" and value:
            yield from _of_folder(value, root, depth + 1)


def _of_folder(value: str, root: Path, depth: int) -> Iterator[str]:
    """``DIR[,EXTENSION...]``: without ``*`` an extension is left out, with it only such files are read."""
    name, *extensions = value.split(",")
    folder = root / name.lstrip("/")
    only = tuple(each.lstrip("*") for each in extensions if each.startswith("*"))
    never = tuple(each for each in extensions if each and not each.startswith("*"))
    for file in sorted(folder.iterdir()) if folder.is_dir() else []:
        hidden = file.name.startswith((".", "#")) or file.name.endswith("~")
        if not hidden and file.is_file() and (not only or file.name.endswith(only)) and not file.name.endswith(never):
            yield from _of_file(file, root, depth)
