"""The first hour, typed as it stands on its page, on a host of that dialect."""

from __future__ import annotations

import shlex
import time

import pytest
from first_hour import Block, Command, blocks
from machine import Done, Machine
from service import Service

pytestmark = [pytest.mark.namespaces, pytest.mark.timeout(600)]

PATIENCE_S = 90.0  # servers start in zones, on a slow machine
HOST, FAR = "192.0.2.5/24", "198.51.100.1"
PAGES = {"omnios": (["--omnios"], 5), "tribblix": ([], 4)}  # options of the lab; how many blocks cannot be run


class Typist:
    """Types a page. What a command says is what both its streams say."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine

    def block(self, block: Block) -> None:
        for kind in ("file", "append"):
            if kind in block.marks:
                self._write(block.marks[kind], block.text, kind == "append")
                return
        *first, last = block.commands
        for command in first:
            self._type(command, block, good=True)
        self._type(last, block, good="fails" not in block.marks)

    def _write(self, path: str, text: str, more: bool) -> None:
        self._machine.do("mkdir", "-p", path.rpartition("/")[0])
        before = self._machine.read(path) if more else ""
        self._machine.write(path, before + text)

    def _type(self, command: Command, block: Block, *, good: bool) -> None:
        again, any_order = "wait" in block.marks, "any order" in block.marks
        deadline = time.monotonic() + PATIENCE_S
        while True:
            done = self._once(command)
            if (done.status == 0) is good and command.says(f"{done.out}\n{done.err}", any_order=any_order):
                return
            assert again and time.monotonic() < deadline, f"{command.text}\nis to say {command.shown}\n{done}"
            time.sleep(0.3)

    def _once(self, command: Command) -> Done:
        argv = ["sh", "-c", f"PATH=$PATH:/opt/zonehookd/bin; {command.text}"]
        if command.where == "outside":
            argv = ["zonelab", "outside", "run", "--", *argv]
        return self._machine.run(*argv)


@pytest.mark.parametrize("page", PAGES)
def test_the_page_is_true(page: str) -> None:
    options, not_run = PAGES[page]
    found = blocks(page)
    assert sum("not run" in block.marks for block in found) == not_run
    machine = Machine(*options)
    try:
        _as_it_comes(machine)
        typist = Typist(machine)
        for block in found:
            if "not run" not in block.marks:
                assert block.marks or block.language == "console", f"what is to be done with this?\n{block.text}"
                typist.block(block)
    finally:
        machine.close()


def _as_it_comes(machine: Machine) -> None:
    """What the page takes for granted: an address of the host, the program, and a server far away."""
    machine.do("ipadm", "create-addr", "-T", "static", "-a", HOST, "net0/v4")
    Service(machine)
    web = "import http.server as h; h.ThreadingHTTPServer(('', 80), h.SimpleHTTPRequestHandler).serve_forever()"
    argv = shlex.join(["/usr/bin/python3", "-c", web])
    machine.start("zonelab", "outside", "run", "--", "sh", "-c", f"cd /tmp; exec {argv}", log="/var/log/far.log")
