"""Circuit, output, choice, files written as somebody else: the parts by themselves."""

from __future__ import annotations

import asyncio
import errno
import os
import pwd
import subprocess
import sys
import time
from pathlib import Path

import pytest
from foreign.rig import PLUGIN, Lines, plugin

from zonehookd.config import PluginsSection, RunSection
from zonehookd.engine.applier import Applier
from zonehookd.engine.reconciler import PlannedStep
from zonehookd.errors import PluginRefused
from zonehookd.foreign import said as said_module
from zonehookd.foreign.chosen import choose
from zonehookd.foreign.circuit import Circuit
from zonehookd.foreign.said import Said
from zonehookd.host.audit import Audit
from zonehookd.host.local import LocalFiles, LocalHost
from zonehookd.host.process import Limits, Processes
from zonehookd.model.outcome import Result
from zonehookd.model.plan import RemoveFile, Step, WriteBlock, WriteFile
from zonehookd.model.subject import zone
from zonehookd.store.store import Store


def test_three_failures_open_the_circuit_and_rests_double() -> None:
    circuit = Circuit()
    pauses = []
    for _ in range(9):
        circuit.failed()
        pauses.append(circuit.pause_s)
    assert pauses == [0.2, 1.0, 10.0, 20.0, 40.0, 80.0, 160.0, 300.0, 300.0]
    circuit.worked(small=True)
    assert not circuit.open
    circuit.failed()
    assert circuit.open and circuit.pause_s == 300.0, "one small call proves little"
    circuit.worked(small=True)
    circuit.worked()
    circuit.failed()
    assert not circuit.open and circuit.pause_s == 0.2


def test_lines_are_whole_and_not_too_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(said_module, "_LINES_S", 0.0)
    log = Lines()
    said = Said(log, "probe")
    said.heard(b"one\ntw")
    said.heard(b"o\n\x1b[2Jthree")
    said.end()
    assert [fields["text"] for fields in log.said("plugin said")] == ["one", "two", "?[2Jthree"]
    for _ in range(100):
        said.heard(b"x" * 10_000)
        said.heard(b"\n" * 100)
    assert len(log.said("plugin said")) <= 200 and said.dropped > 900_000
    assert len(log.said("plugin said more than is logged")) == 1


def test_a_flood_of_newlines_is_counted_and_not_taken_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(said_module, "_LINES_S", 0.0)
    log = Lines()
    said = Said(log, "probe")
    said.heard(b"x\n" * 100_000 + b"the la")
    assert len(log.said("plugin said")) == 200 and said.dropped == 2 * (100_000 - 200)
    said.heard(b"st\n" + b"y" * 5_000)
    assert len(log.said("plugin said")) == 200 and said.dropped == 2 * (100_000 - 200) + len("the last\n") + 5_000
    told = log.said("plugin said more than is logged")
    assert [each["dropped_bytes"] for each in told] == [2 * (100_000 - 200)]


def test_a_line_without_an_end_is_a_line() -> None:
    log = Lines()
    said = Said(log, "probe")
    said.heard(b"z" * 5_000)
    said.heard(b"after\n")
    first, then = log.said("plugin said")
    assert set(first["text"]) == {"z"} and then["text"] == "after" and said.dropped == 3_000


def test_what_is_chosen_without_running_it(tmp_path: Path) -> None:
    plugin(tmp_path, 'raise RuntimeError("nobody may import me")')
    section = PluginsSection(
        folders=[tmp_path],
        enabled=["vnic"],
        also=["probe", "etherstub", "vnic"],
        run={"probe": RunSection(deadline_s=3, user="x")},
        options={"probe": {"text": 1}},
    )
    chosen = choose(section)
    assert {each.name for each in chosen.ours} == {"vnic", "etherstub"}
    (spec,) = chosen.foreign
    assert (spec.name, spec.run.deadline_s, spec.run.user, spec.options) == ("probe", 3.0, "x", {"text": 1})


@pytest.mark.parametrize(
    ("section", "words"),
    [
        (PluginsSection(also=["prob"]), "plugin 'prob' is not there"),
        (PluginsSection(run={"vnic": RunSection()}), "plugins.run.vnic: .* it runs in the daemon"),
        (PluginsSection(run={"x": RunSection()}), "plugins.run.x"),
        (PluginsSection(enabled=[], options={"vnic": {}}), r"add 'vnic' to \[plugins\] also"),
    ],
)
def test_what_is_refused_without_running_it(section: PluginsSection, words: str) -> None:
    with pytest.raises(PluginRefused, match=words):
        choose(section)


def test_a_name_of_ours_is_nobody_elses(tmp_path: Path) -> None:
    plugin(tmp_path, PLUGIN, "vnic")
    with pytest.raises(PluginRefused, match=r"both .* are it"):
        choose(PluginsSection(folders=[tmp_path]))


def test_what_a_user_writes_is_written_by_a_process_of_his(tmp_path: Path) -> None:
    me, web1 = pwd.getpwuid(os.geteuid()).pw_name, zone("web1")
    store = Store(tmp_path / "state.db")
    audit = Audit(tmp_path / "audit")
    host = LocalHost(Processes(os.environ["PATH"], Limits()), audit, lambda name, result, seconds: None)
    applier = Applier(host, LocalFiles(), store, lambda: False)
    hosts, mine = tmp_path / "hosts", tmp_path / "mine"
    hosts.write_text("127.0.0.1 localhost\n")

    def carry_out(step: Step) -> None:
        planned = PlannedStep("probe", step, apart=True, foreign=True, user=me)
        done = asyncio.run(applier.apply(web1, [planned]))
        assert done.result is Result.CHANGED, done

    carry_out(WriteFile(mine, "secret\n", "as told", 0o640))
    assert mine.read_text() == "secret\n" and mine.stat().st_mode & 0o777 == 0o640
    carry_out(WriteBlock(hosts, "10.1.0.2 web1", "as told"))
    assert "BEGIN zonehookd probe:zone:web1\n10.1.0.2 web1\n" in hosts.read_text() and len(store.of(web1)) == 1
    carry_out(WriteBlock(hosts, "", "as told"))
    assert hosts.read_text() == "127.0.0.1 localhost\n" and not store.of(web1)
    carry_out(RemoveFile(mine, "as told"))
    assert not mine.exists()
    store.close()
    audit.close()
    lines = (tmp_path / "audit").read_text()
    assert lines.count("zonehookd.host.put") == 4 and "secret" not in lines


def test_put_says_what_is_wrong(tmp_path: Path) -> None:
    put = [sys.executable, "-P", "-m", "zonehookd.host.put"]
    for words in (["write", str(tmp_path), "644"], ["eat", "x"]):
        done = subprocess.run([*put, *words], input="x", capture_output=True, text=True, check=False)
        assert done.returncode == 1 and done.stderr.startswith("put: ")


def test_a_process_that_stays_is_somebody_elses_where_that_can_be() -> None:
    """As root it has the other's ids and no group of ours; else it is not started at all."""

    async def story() -> bytes:
        heard = bytearray()
        processes = Processes(os.environ["PATH"], Limits())
        argv = ["/bin/sh", "-c", "id -u; id -G; cat"]
        child = await processes.spawn(argv, environ={"A": "b"}, user="nobody", heard=heard.extend, bytes_s=1 << 20)
        ends_s = time.monotonic() + 30.0
        while heard.count(b"\n") < 2 and time.monotonic() < ends_s:
            await asyncio.sleep(0.01)
        child.let_go()
        assert await asyncio.wait_for(asyncio.shield(child.exited), 30.0) == 0
        await child.end(1.0)
        return bytes(heard)

    nobody = pwd.getpwnam("nobody")
    try:
        said = asyncio.run(story())
    except OSError as problem:
        assert problem.errno in (errno.EPERM, errno.EINVAL)
    else:
        assert said.decode().split() == [str(nobody.pw_uid), str(nobody.pw_gid)]
