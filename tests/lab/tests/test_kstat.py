"""kstat -p on module link [network 6.3]."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab.dispatch import Completed
from lab.tests.typed import Host
from lab.world import Link

RECIPE = "kstat -p -m link -i 0 -s '/^(r|o)bytes64$|^(i|o)packets64$|^(i|o)errors$|^link_state$/'"


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Host:
    host = Host(tmp_path)
    host.ok("dladm create-etherstub stub0", "dladm create-vnic -t -l stub0 web1_0", "dladm create-vnic -l net0 Xx0")

    def counters(links: list[Link]) -> dict[str, dict[str, int]]:
        names = ("rbytes64", "obytes64", "ipackets64", "opackets64", "ierrors", "oerrors")
        return {link.name: dict.fromkeys(names, 2**32 + link.linkid) for link in links}

    monkeypatch.setattr(host.world.floor, "counters", counters)
    return host


def test_the_exporters_recipe(host: Host) -> None:
    lines = host(RECIPE).out.splitlines()
    assert lines[:7] == [
        "link:0:net0:ierrors\t1",
        "link:0:net0:ipackets64\t4294967297",
        "link:0:net0:link_state\t1",
        "link:0:net0:obytes64\t4294967297",
        "link:0:net0:oerrors\t1",
        "link:0:net0:opackets64\t4294967297",
        "link:0:net0:rbytes64\t4294967297",
    ]
    assert [line.split(":")[2] for line in lines[::7]] == ["net0", "stub0", "web1_0", "Xx0"]


@pytest.mark.parametrize(
    ("selector", "out"),
    [
        ("'link:0:web1_0:*bytes64'", "link:0:web1_0:obytes64\t4294967299\nlink:0:web1_0:rbytes64\t4294967299\n"),
        ("-m link -n web1_0 -s rbytes", "link:0:web1_0:rbytes\t3\n"),
        ("'link::/^web/:rbytes64' link:0:stub0:ifspeed",
         "link:0:stub0:ifspeed\t0\nlink:0:web1_0:rbytes64\t4294967299\n"),
        ("-m link -s ifspeed", "link:0:net0:ifspeed\t1000000000\nlink:0:stub0:ifspeed\t0\n"
         "link:0:web1_0:ifspeed\t0\nlink:0:Xx0:ifspeed\t1000000000\n"),
        ("-m link -n net0 -c net -s class", "link:0:net0:class\tnet\n"),
    ],
)  # fmt: skip
def test_selectors(host: Host, selector: str, out: str) -> None:
    host.prints(f"kstat -p {selector}", out)


def test_other_shapes(host: Host) -> None:
    host.prints("kstat -C link:0:web1_0:rbytes", "link:0:web1_0:rbytes:3\n")
    host.prints("kstat -l link:0:web1_0:rbytes", "link:0:web1_0:rbytes\n")
    host.prints("kstat -q link:0:web1_0:rbytes", "")


@pytest.mark.parametrize(
    "selector", ["link:0:nosuch0:*", "link:1", "-m link -s nosuch", "-m link -c flow", "-m unix -c flow"]
)
def test_nothing_matched(host: Host, selector: str) -> None:
    assert host(f"kstat -p {selector}") == Completed(1, "", "")


@pytest.mark.parametrize("arguments", ["-x", "-m", "-m link link:0", "-m link -s '/(/'"])
def test_usage(host: Host, arguments: str) -> None:
    done = host(f"kstat -p {arguments}")
    assert (done.status, done.out) == (2, "")
    assert done.err.startswith("Usage:\nkstat ")


@pytest.mark.parametrize(
    "line", ["kstat link:0", "kstat -p", "kstat -p -m cpu", "kstat -p link:0 1", "kstat -j link:0"]
)
def test_what_the_lab_does_not_know(host: Host, line: str) -> None:
    done = host(line)
    assert done.status != 0
    assert done.err.startswith("zonelab: not emulated: kstat")


def test_every_statistic_is_there_with_its_times(host: Host) -> None:
    rows = dict(line.split("\t") for line in host("kstat -p link:0:web1_0").out.splitlines())
    names = [key.rsplit(":", 1)[1] for key in rows]
    assert names == sorted(names)
    assert {"class", "crtime", "snaptime", "link_duplex", "unknowns"} <= set(names)
    assert 0 < float(rows["link:0:web1_0:crtime"]) <= float(rows["link:0:web1_0:snaptime"])


def test_a_new_vnic_has_a_new_creation_time(host: Host) -> None:
    before = host("kstat -p link:0:web1_0:crtime").out
    host.ok("dladm delete-vnic web1_0", "dladm create-vnic -t -l stub0 web1_0")
    assert host("kstat -p link:0:web1_0:crtime").out != before


def test_zones(host: Host) -> None:
    host.zone("web1")
    host.ok("dladm set-linkprop -t -p zone=web1 web1_0")
    assert "link:0:web1_0:link_state\t1\n" in host("kstat -p -m link -s link_state").out
    host.prints("kstat -p -m link -s link_state", "link:0:web1_0:link_state\t1\n", zone="web1")


def test_long_names_are_cut_at_thirty(host: Host) -> None:
    name = "a" * 30 + "1"
    host.ok(f"dladm create-vnic -t -l net0 {name}")
    host.prints(f"kstat -p link:0:{name[:30]}:link_state", f"link:0:{name[:30]}:link_state\t1\n")
    assert host(f"kstat -p link:0:{name}:link_state").status == 1
