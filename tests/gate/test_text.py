"""A hook's text as the brand has it, by every shell that may be /bin/sh: who runs, with which words, and what without
the program. On illumos it is ksh93; the lab's is dash."""

from __future__ import annotations

import itertools
import os
import shlex
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from lab.brands import expand, parse_brand
from lab.furnish_zones import brand_document
from rig import Rig

from zonehookd.gate.brands import gated

SHELLS = {"ksh93": "ksh93", "dash": "dash", "bash": "bash --posix"}
STREAMS = ("", "<&-", "2>&-", "<&- 2>&-", "<&- >&- 2>&-")  # on gate they may be anything (zones sheet 5.5)
ARGUMENTS = 'echo $#; for each in "$@"; do echo "<$each>"; done; echo err >&2; ls /proc/self/fd; exit 7'
STATE_HOOKS = ("prestatechange", "poststatechange")


@dataclass(frozen=True)
class Brand:
    """Its hooks, run as zoneadm and zoneadmd run them (zones sheet 5.1): by this shell, what they append behind it."""

    rig: Rig
    shell: str

    def plain(self, text: str, words: str, streams: str = "") -> tuple[int, str, str]:
        line = f"exec {expand(text, 'web1', '/zones/web1')}{words}"
        argv = ["/bin/sh", "-c", f"exec {self.shell} -c {shlex.quote(line)} {streams}"]
        done = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=20, check=False)
        return done.returncode, done.stdout, done.stderr

    def asking(self, hook: str, text: str, words: str, streams: str = "") -> tuple[int, str, str]:
        document = brand_document("sparse", {"install": "/b/install"} | ({hook: text} if text else {})).encode()
        brand = parse_brand("sparse", gated(document, str(self.rig.gate), str(self.rig.run)))
        return self.plain(brand.text(hook), words, streams)

    def own(self) -> str:
        return f"{self.rig.script('own', ARGUMENTS)} %z --opt=a:b@c+d,%% /zones/%z"


@pytest.fixture(params=SHELLS)
def brand(rig: Rig, request: pytest.FixtureRequest) -> Brand:
    return Brand(rig, SHELLS[request.param])


def not_at_all(gate: Path) -> None:
    assert gate.stat().st_size and os.access(gate, os.X_OK)


def gone(gate: Path) -> None:
    gate.unlink()


def empty(gate: Path) -> None:
    """A script that says yes, if anybody runs it."""
    gate.write_bytes(b"")


def no_program(gate: Path) -> None:
    gate.chmod(0o600)


@pytest.mark.parametrize("spoil", [not_at_all, gone, empty, no_program])
@pytest.mark.parametrize("hook", STATE_HOOKS)
def test_the_brands_own_hook_is_what_it_was(brand: Brand, hook: str, spoil: Callable[[Path], None]) -> None:
    """With the program and nobody to ask, and without it: words, output, descriptors and status."""
    spoil(brand.rig.gate)
    for words, streams in itertools.product((" 2 0 ", " 4 4 ", " 2 0 /a", ""), STREAMS):
        own = brand.own()
        without = brand.plain(own, words, streams)
        assert without[0] == 7 and without[1].startswith("" if ">&- 2" in streams else f"{3 + len(words.split())}\n")
        assert brand.asking(hook, own, words, streams) == without, (words, streams)


@pytest.mark.parametrize("hook", STATE_HOOKS)
def test_where_there_is_none_nothing_happens(brand: Brand, hook: str) -> None:
    brand.rig.gate.unlink()
    for words, streams in itertools.product((" 2 0 ", " 4 4 "), STREAMS):
        assert brand.asking(hook, "", words, streams) == (0, "", ""), (words, streams)


@pytest.mark.parametrize("own", [True, False])
def test_the_program_is_asked_when_it_is_there(brand: Brand, own: bool) -> None:
    text = brand.own() if own else ""
    for hook, words, line, out in (
        ("prestatechange", " 2 0 ", b"1 ready web1 prestatechange 2 0\n", "because\n"),
        ("preuninstall", " -F", b"1 uninstall web1 preuninstall - -\n", ""),
    ):
        with brand.rig.says("deny no\nbecause\n") as requests:
            assert brand.asking(hook, text, words) == (1, out, "" if out else "because\n")
        assert requests == [line]


@pytest.mark.parametrize("spoil", [gone, empty, no_program])
@pytest.mark.parametrize("own", [True, False])
def test_an_uninstall_without_the_program_is_refused_and_the_ways_out_are_said(
    brand: Brand, own: bool, spoil: Callable[[Path], None]
) -> None:
    spoil(brand.rig.gate)
    text = brand.own() if own else ""
    for words, streams in itertools.product((" -F", "", " -F --all"), STREAMS):
        status, out, err = brand.asking("preuninstall", text, words, streams)
        assert status != 0 and out == "", (words, streams)
        if "2>&-" in streams:
            continue
        assert status == 1
        assert err.startswith(
            f"zonehookd: uninstall of zone web1 is refused: {brand.rig.gate} is missing or cannot be run\n"
        )
        for way_out in ("start zonehookd", "zonehookctl brand disable", "pkg fix"):
            assert way_out in err


def test_it_fits_where_brands_have_hooks_of_their_own() -> None:
    """solaris10 is the only one with a preuninstall (zones sheet 5.6); PATH_MAX holds all that is appended, too."""
    own = "/usr/lib/brand/solaris10/preuninstall %z %R"
    document = brand_document("solaris10", {"install": "/b/install", "preuninstall": own}).encode()
    there = gated(document, "/var/lib/zonehookd/gate", "/var/run/zonehookd")
    text = parse_brand("solaris10", there).text("preuninstall")
    assert len("exec " + expand(text, "z" * 63, "/zones/" + "z" * 63) + " -F") < 1024
