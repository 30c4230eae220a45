"""Plugins that are not ours, well and ill, under the real daemon: what they do wrong costs nobody but themselves."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from typing import Any

import pytest
from machine import NETWORKS, ROOT, Daemon, Machine, until

pytestmark = pytest.mark.namespaces

PLUGINS = ROOT / "tests" / "foreign_plugins"
CHAMELEON, MONGREL = "/var/chameleon", "/var/mongrel"
BOTH = f'[plugins]\nfolders = ["{PLUGINS}", "/var/plugins"]\nalso = ["chameleon", "mongrel"]\n'
RUN = "[plugins.run.chameleon]\ndeadline_s = 2\n[plugins.run.mongrel]\ndeadline_s = 2\n"
PATIENCE_S = 60.0

# How it behaves -> what is said of it, at least.
ILL = {
    "hang": "gave no answer within 2 s",
    "holds-the-lock": "gave no answer within 2 s",
    "abort": "was ended by signal 6",
    "children": "gave no answer within 2 s",
    "leak": "",  # it fails to allocate, or is killed: how is its own business
}
ILL_ON_THE_WIRE = {
    "garbage": "sent what the wire does not know",
    "wrong-id": "when nobody waited for it",
    "huge": "",  # ZeroMQ itself drops who sends that much
    "silent": "gave no answer within 2 s",
}


class Place:
    """One host with the daemon and both plugins."""

    def __init__(self) -> None:
        self.machine = Machine()
        self.daemon = Daemon(self.machine, NETWORKS, BOTH + RUN)
        self.machine.do("mkdir", "-p", CHAMELEON, MONGREL, "/var/plugins")
        self.number = 4

    def behave(self, plugin: str, how: str) -> None:
        self.machine.write(f"/var/{plugin}/mode", f"{how}\n")

    def row(self, plugin: str) -> dict[str, Any]:
        rows: list[dict[str, Any]] = self.machine.control("plugins")
        return next(each for each in rows if each["name"] == plugin)

    def wire_one(self) -> tuple[str, float]:
        """A zone more, and the seconds until its VNIC is there."""
        self.number += 1
        name = f"web{self.number}"
        began = time.monotonic()
        self.machine.zone(name, f"{name}_0", f"10.1.0.{self.number}/24")
        until(lambda: f"{name}_0" in self.machine.links(), f"{name} is wired: {self.daemon.tail()}", PATIENCE_S)
        return name, time.monotonic() - began

    def card(self, zone: str) -> str:
        return self.machine.run("cat", f"{CHAMELEON}/cards/{zone}").out

    def workers(self) -> list[str]:
        """Processes of plugins, by their arguments."""
        return self.machine.run("pgrep", "-f", "-a", "zonehookd.worker|foreign_plugins").out.splitlines()

    def well_again(self, plugin: str, zone: str) -> None:
        self.behave(plugin, "good")
        self.machine.control("plugin-reload", plugin=plugin)
        until(lambda: self.row(plugin)["state"] == "ready", f"{plugin} is well: {self.row(plugin)}", PATIENCE_S)
        if plugin == "chameleon":
            until(lambda: self.card(zone) == f"green {zone}\n", f"the card of {zone}", PATIENCE_S)


@pytest.fixture(scope="module")
def place() -> Iterator[Place]:
    made = Place()
    made.machine.zone("web1", "web1_0", "10.1.0.3/24")
    made.daemon.start()
    until(lambda: made.card("web1") == "green web1\n", f"the first card: {made.daemon.tail()}", PATIENCE_S)
    yield made
    made.machine.close()


def test_it_sees_what_was_there_before_it(place: Place) -> None:
    row = place.row("chameleon")
    assert (row["where"], row["state"], row["required"], row["restarts"]) == ("worker", "ready", False, 0)
    assert place.row("vnic")["where"] == "daemon"
    until(lambda: place.daemon.ctl("plan")["changes"] == 0, "what is planned beside the card is done")


@pytest.mark.parametrize(
    ("plugin", "how"),
    [*(("chameleon", each) for each in ILL), *(("mongrel", each) for each in ILL_ON_THE_WIRE)],
)
def test_others_are_wired_whatever_it_does(place: Place, plugin: str, how: str) -> None:
    before = place.row(plugin)["restarts"]
    place.behave(plugin, how)
    zone, seconds = place.wire_one()
    said = (ILL | ILL_ON_THE_WIRE)[how]
    found: dict[str, Any] = {}

    def noticed() -> bool:  # it is started again a moment later, and then it is well until it is asked
        found.update(place.row(plugin))
        return bool(found["error"])

    until(noticed, f"{how} is noticed: {place.daemon.tail()}", PATIENCE_S)
    print(f"{plugin} {how}: {zone} wired after {seconds:.2f} s; {found['error']}")
    assert said in found["error"] or found["state"] == "open", found
    until(lambda: f"plugin {plugin}: " in str(place.machine.control("status")["plugins"]), "it is said", PATIENCE_S)
    latest = {row["name"]: row for row in place.machine.control("zones")}[zone]
    assert latest["result"] in ("noop", "changed"), "an optional plugin is no trouble of the zone's"
    place.well_again(plugin, zone)
    assert place.row(plugin)["restarts"] > before
    until(lambda: not place.machine.control("status")["plugins"], f"all is well: {place.row(plugin)}", PATIENCE_S)
    until(lambda: len(place.workers()) == 2, f"one process each is left: {place.workers()}", PATIENCE_S)


@pytest.mark.parametrize("how", ["raises", "theft", "many", "slow-step"])
def test_a_bad_plan_is_said_of_its_zone_and_ends_no_process(place: Place, how: str) -> None:
    pid = place.row("chameleon")["pid"]
    place.behave("chameleon", how)
    zone, _ = place.wire_one()

    def trouble() -> list[str]:
        row = {each["name"]: each for each in place.machine.control("zones")}[zone]
        return [note["text"] for note in row["trouble"]]

    def step_ended() -> bool:
        trouble = place.machine.control("status")["trouble"]
        return any("did not finish within 5 s" in each["error"] for each in trouble)

    if how == "slow-step":  # a step that failed is the zone's trouble, whoever planned it
        until(step_ended, f"the step is ended: {place.daemon.tail()}", PATIENCE_S)
    else:
        until(lambda: "chameleon" in " ".join(trouble()), f"{how} is said: {place.daemon.tail()}", PATIENCE_S)
    assert f"{zone}_0" in place.machine.links()
    records = place.machine.control("explain", zone=zone)["records"]
    assert [each["plugin"] for each in records if each["kind"] == "vnic"] == ["vnic"], "what is ours stays ours"
    if how != "many":
        assert place.row("chameleon")["pid"] == pid
    place.well_again("chameleon", zone)


def test_it_heals_by_itself(place: Place) -> None:
    """Three failures in a row open the circuit; nobody does anything but mend the plugin."""
    place.behave("chameleon", "abort")
    zone, _ = place.wire_one()
    until(lambda: place.row("chameleon")["state"] == "open", f"it rests: {place.row('chameleon')}", PATIENCE_S)
    scraped = place.machine.do("curl", "-s", "http://127.0.0.1:9631/metrics")
    assert 'zonehookd_plugin_circuit_open{plugin="chameleon"} 1.0' in scraped
    assert "rests" in "\n".join(place.machine.control("status")["plugins"])
    assert place.daemon.ask("status").status == 1, "somebody should look"
    place.behave("chameleon", "good")
    until(lambda: place.card(zone) == f"green {zone}\n", f"its card: {place.row('chameleon')}", 90.0)
    assert place.row("chameleon")["error"] == ""


def test_a_flood_is_dropped_and_costs_the_daemon_nothing(place: Place) -> None:
    place.behave("chameleon", "flood")
    zone, seconds = place.wire_one()
    print(f"flood: {zone} wired after {seconds:.2f} s")
    log = int(place.machine.do("stat", "-c", "%s", place.daemon.log))
    assert log < 16 << 20, "the log is not flooded"
    resident = int(place.machine.do("ps", "-o", "rss=", "-p", str(place.daemon.pid)))
    assert resident < 400 << 10, f"{resident} KiB"
    place.well_again("chameleon", zone)


def test_its_child_that_holds_every_pipe_holds_up_nothing(place: Place) -> None:
    place.behave("chameleon", "child")
    zone, _ = place.wire_one()
    until(lambda: place.card(zone) == f"green {zone}\n", "the card comes all the same", PATIENCE_S)
    place.behave("chameleon", "good")
    assert place.machine.control("plugin-reload", plugin="chameleon") is not None, (
        "nobody waits for the end of its output"
    )
    place.machine.run("pkill", "-KILL", "-f", "zonehookd.worker.*chameleon")  # its children have sessions of their own
    place.well_again("chameleon", zone)


def test_required_degrades_and_the_last_good_one_goes_on(place: Place) -> None:
    run = RUN.replace("[plugins.run.mongrel]", "required = true\n[plugins.run.mongrel]")
    place.daemon.configure(NETWORKS, BOTH + run)
    assert place.daemon.ask("reload").status == 0
    place.daemon.configure(NETWORKS, BOTH + run + '[plugins.options.chameleon]\ncolor = "red"\n')
    done = place.daemon.ask("reload")
    assert done.status == 1 and "did you mean 'colour'?" in done.out, "what is wrong is said at once"
    assert place.row("chameleon")["state"] == "ready", "and the one before goes on"
    place.daemon.configure(NETWORKS, BOTH + run)
    assert place.daemon.ask("reload").status == 0
    place.behave("chameleon", "import-error")
    done = place.daemon.ask("plugin", "reload", "chameleon")
    assert done.status == 1 and "ImportError" in done.err, done
    row = place.row("chameleon")
    assert row["state"] == "ready" and "ImportError" in row["error"], "the one before goes on"
    place.machine.do("kill", "-KILL", str(row["pid"]))
    zone, _ = place.wire_one()

    def failed() -> bool:
        rows = {each["name"]: each for each in place.machine.control("zones")}
        return rows[zone]["result"] == "failed"

    until(failed, f"without a required plugin a zone is in trouble: {place.machine.control('zones')}", PATIENCE_S)
    assert f"{zone}_0" in place.machine.links(), "and is wired"
    scraped = place.machine.do("curl", "-s", "http://127.0.0.1:9631/metrics")
    assert 'zonehookd_zone_degraded{zone="' in scraped
    place.well_again("chameleon", zone)
    until(lambda: not failed(), "well again", PATIENCE_S)


def test_a_killed_daemon_leaves_no_worker(place: Place) -> None:
    until(lambda: len(place.workers()) == 2, f"two workers: {place.workers()}", PATIENCE_S)
    place.behave("chameleon", "hang")
    place.wire_one()
    place.machine.signal(place.daemon.pid, signal.SIGKILL)
    place.machine.wait(place.daemon.pid)
    until(lambda: not place.workers(), f"nobody is left: {place.workers()}", PATIENCE_S)
    place.behave("chameleon", "good")
    place.daemon.start()
    zone, _ = place.wire_one()
    place.well_again("chameleon", zone)
    assert place.daemon.stop() == 0
    assert not place.workers()
    assert place.machine.run("sh", "-c", "ls /var/run/zonehookd/plugins/*.sock").status != 0, "no socket is left"
