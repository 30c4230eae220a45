"""The guide for authors, followed word by word on a host with the real daemon: one plugin in all three shapes."""

from __future__ import annotations

import json
import sys
import sysconfig
from collections.abc import Iterator

import pytest
from guide import Command, File, steps
from machine import NETWORKS, ROOT, SET_UP_S, Done, Machine, until

from zonehookd.cli.ending import EXIT_CHANGES

pytestmark = pytest.mark.namespaces

CONFIG = "/etc/zonehookd/zonehookd.toml"
VENV = "/export/venv"  # zonehookd's own environment, where `pip install` puts a package
LOG = "/var/log/zonehookd.log"
SCRIPT = "#!{venv}/bin/python\nfrom {module} import main\nmain()\n"
PIP = '#!/bin/sh\nexec {python} -m pip --python {venv}/bin/python --disable-pip-version-check "$@"\n'
# No network here: whatever builds a package is there already.
ENVIRON = {"PIP_NO_INDEX": "1", "PIP_NO_BUILD_ISOLATION": "0", "PYTHONDONTWRITEBYTECODE": "1"}
CHANGES_NOTHING = ("grep ", "cat ", "zonehookctl plugins")


class Reader:
    """Somebody who follows a page in a shell."""

    def __init__(self) -> None:
        self.machine = Machine()
        self.folder = "/export"
        do, write = self.machine.do, self.machine.write
        do(sys.executable, "-m", "venv", "--without-pip", VENV)
        site = do(f"{VENV}/bin/python", "-c", "import sysconfig; print(sysconfig.get_path('purelib'))").strip()
        write(f"{site}/zonehookd.pth", f"{sysconfig.get_path('purelib')}\n{ROOT}\n")
        for name, module in (("zonehookctl", "zonehookd.cli.main"), ("zonehookd", "zonehookd.__main__")):
            write(f"{VENV}/bin/{name}", SCRIPT.format(venv=VENV, module=module))
        write(f"{VENV}/bin/pip", PIP.format(python=sys.executable, venv=VENV))
        do("sh", "-c", f"chmod 755 {VENV}/bin/*")
        do("mkdir", "-p", "/etc/zonehookd")
        write(CONFIG, NETWORKS)

    def sh(self, line: str) -> Done:
        """In the folder where the line before has left us."""
        environ = [f"{name}={value}" for name, value in ENVIRON.items()]
        told = f"PATH={VENV}/bin:$PATH; cd {self.folder}\n{line}\nstatus=$?; pwd > /export/.folder; exit $status"
        done = self.machine.run("env", *environ, "sh", "-c", told, timeout_s=300)
        self.folder = self.machine.read("/export/.folder").strip()
        return done

    def follow(self, step: File | Command) -> None:
        if isinstance(step, File):
            before = self.machine.read(step.path) if step.language == "toml" else ""
            self.machine.write(step.path, before + step.text)
            return
        done = self.sh(step.line)
        if step.line.startswith(CHANGES_NOTHING):  # what the daemon does takes its time

            def so() -> bool:
                nonlocal done
                done = self.sh(step.line)
                return step.missing(done.out) is None

            until(so, f"{step} printed {done}: {self.tail()}", SET_UP_S)
        assert done.status == 0, f"{step}: {done}\n{self.tail()}"
        missing = step.missing(done.out)
        assert missing is None, f"{step.line}: did not print {missing!r}, but: {done.out}{done.err}\n{self.tail()}"

    def tail(self) -> str:
        return self.machine.run("tail", "-n", "30", LOG).out

    def until_ready(self, shape: str) -> None:
        until(lambda: (self.row["shape"], self.row["state"]) == (shape, "ready"), f"{shape} works", SET_UP_S)

    def changes(self) -> int:
        """Commands so far that change something."""
        lines = self.machine.read("/var/log/zonehookd/audit.jsonl").splitlines()
        return sum(json.loads(line)["kind"] == "change" for line in lines)

    @property
    def row(self) -> dict[str, object]:
        rows = json.loads(self.sh("zonehookctl --json plugins").out)
        return next(row for row in rows if row["name"] == "hosts")


@pytest.fixture
def reader() -> Iterator[Reader]:
    reader = Reader()
    yield reader
    reader.machine.close()


def test_the_guide(reader: Reader) -> None:
    machine = reader.machine
    machine.zone("web1", "web1_0", "10.1.0.5/24")
    machine.start(f"{VENV}/bin/zonehookd", log=LOG)
    until(lambda: reader.sh("zonehookctl status").status == 0, f"it is well: {reader.tail()}", SET_UP_S)
    machine.do("zoneadm", "-z", "web1", "install")
    machine.do("zoneadm", "-z", "web1", "boot")
    others = machine.read("/etc/hosts")
    shapes = ["folder", "package", "executable"]
    for step in steps("guide.md"):
        changes = reader.changes()
        reader.follow(step)
        if isinstance(step, Command) and step.line.startswith("zonehookctl plugin try"):
            assert reader.sh("zonehookctl plugin try . --zone web1 --plan").status == EXIT_CHANGES
            assert (reader.changes(), machine.read("/etc/hosts")) == (changes, others)
        if isinstance(step, Command) and step.line == "zonehookctl plugins | grep hosts":
            reader.until_ready(shapes.pop(0))
        if isinstance(step, Command) and step.line == "grep -c web1 /etc/hosts":
            lines = machine.read("/etc/hosts")
            assert lines.startswith(others)
            assert lines.removeprefix(others).splitlines()[1] == "10.1.0.5\tweb1"
    assert shapes == []
    assert machine.read("/etc/hosts") == others
    assert reader.row["state"] == "ready"
