"""OMAPI against the real dhcpd: a burst makes what it says, twice is once, and what is not ours is not touched."""

from __future__ import annotations

import base64
import json
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import IPv4Address
from pathlib import Path

import pytest

from zonehookd.illumos import dhcpd, omapi

PORT = 7911
KEY = base64.b64encode(bytes(range(32))).decode()
CONFIG = f"""
omapi-port {PORT};
key {omapi.KEY_NAME} {{ algorithm hmac-md5; secret "{KEY}"; }};
omapi-key {omapi.KEY_NAME};
subnet 10.1.0.0 netmask 255.255.255.0 {{ deny unknown-clients; }}
host printer {{ hardware ethernet 02:08:20:00:00:99; fixed-address 10.1.0.99; }}
host zonehookd-static_0 {{ hardware ethernet 02:08:20:00:00:98; fixed-address 10.1.0.98; }}
"""
LINKS = "ip link set lo up && ip link add d0 type veth peer name d1 && ip addr add 10.1.0.1/24 dev d0 && \
ip link set d0 up && ip link set d1 up"


@dataclass
class Server:
    """A dhcpd in a network of its own. `lines` its leases."""

    folder: Path
    config: str = CONFIG
    process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        binary = shutil.which("dhcpd", path="/usr/sbin:/sbin:/usr/bin")
        assert binary is not None, "isc-dhcp-server is missing: tests/setup.sh"
        own = self.folder / "dhcpd"  # a copy: a security profile may bind the one in its usual place
        if not own.exists():
            shutil.copy(binary, own)
        (self.folder / "dhcpd.conf").write_text(self.config)
        (self.folder / "leases").touch()
        run = f"{LINKS} && exec {own} -4 -f -d --no-pid -cf {self.folder}/dhcpd.conf -lf {self.folder}/leases d0"
        argv = ["unshare", "-Urn", "sh", "-c", run]
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(argv, stderr=log)
        deadline = time.monotonic() + 60
        while self.burst([], [])[0] != 0:
            assert time.monotonic() < deadline and self.process.poll() is None, (self.folder / "log").read_text()
            time.sleep(0.02)

    def stop(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()

    def burst(self, add: list[omapi.Host], remove: list[str], key: str = KEY, port: int = PORT) -> tuple[int, str, str]:
        change = omapi.burst(add, remove, port=port, key=key, why="test")
        return self.run(change.argv, change.stdin)

    def run(self, argv: tuple[str, ...], stdin: str) -> tuple[int, str, str]:
        assert self.process is not None
        enter = ["nsenter", "--preserve-credentials", "-U", "-n", "-t", str(self.process.pid)]
        done = subprocess.run([*enter, *argv], input=stdin, capture_output=True, text=True, timeout=60)
        return done.returncode, done.stdout, done.stderr

    @property
    def hosts(self) -> set[str]:
        return set(dhcpd.leased_hosts((self.folder / "leases").read_text()))


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    made = Server(tmp_path)
    made.start()
    yield made
    made.stop()


def host(number: int, statements: str = 'option host-name "web"; option routers 10.1.0.1; ') -> omapi.Host:
    return omapi.named(f"web{number}_0", f"02:08:20:00:00:{number:02x}", IPv4Address(f"10.1.0.{number}"), statements)


def test_added_changed_removed_and_still_there_after_a_restart(server: Server) -> None:
    one, two = host(1), host(2)
    assert server.burst([one, two], []) == (0, '{"added": 2, "removed": 0}\n', "")
    assert server.hosts == {one.name, two.name}
    changed = host(1, 'option host-name "other"; option ntp-servers = 0a:01:00:4d; option unknown-224 = ff:01; ')
    assert changed.name != one.name
    assert server.burst([changed], [one.name, two.name])[:2] == (0, '{"added": 1, "removed": 2}\n')
    assert server.hosts == {changed.name}
    server.stop()
    server.start()
    assert server.hosts == {changed.name}
    text = (server.folder / "leases").read_text()
    assert 'host-name = "other"' in text and "unknown-224 = ff:01" in text and "deleted" not in text


def test_the_same_again_is_no_error_and_mends_a_lost_lease_file(server: Server) -> None:
    assert server.burst([host(1)], [])[0] == 0
    (server.folder / "leases").write_text("")
    assert server.hosts == set()
    assert server.burst([host(1)], [])[0] == 0
    assert server.hosts == {host(1).name}
    assert server.burst([], [host(1).name, host(2).name])[:2] == (0, '{"added": 0, "removed": 1}\n')


def test_a_mac_that_is_somebody_elses_is_refused_alone_with_its_owner(server: Server) -> None:
    taken = omapi.named("bad_0", "02:08:20:00:00:99", IPv4Address("10.1.0.50"), "")
    status, out, err = server.burst([taken, host(1)], [])
    assert (status, out) == (1, '{"added": 1, "removed": 0}\n')
    assert "02:08:20:00:00:99 belongs to host printer" in err and taken.name in err
    assert server.hosts == {host(1).name}


def test_a_host_of_ours_that_was_forgotten_gives_way(server: Server) -> None:
    old = omapi.named("web1_0", host(1).mac, IPv4Address("10.1.0.77"), "")
    assert server.burst([old], [])[0] == 0
    assert server.burst([host(1)], [])[0] == 0
    assert server.hosts == {host(1).name}


def test_a_host_of_the_configuration_file_is_never_deleted(server: Server) -> None:
    for name in ("printer", "zonehookd-static_0"):
        status, _, err = server.burst([], [name])
        assert status == 2 and name in err
    same = omapi.named("static_0", "02:08:20:00:00:98", IPv4Address("10.1.0.98"), "")
    assert server.burst([same], [])[0] == 1
    assert server.hosts == set()
    assert "deleted" not in (server.folder / "leases").read_text()


def test_what_the_server_does_not_understand_is_refused_in_its_words(server: Server) -> None:
    status, _, err = server.burst([host(1, "nonsense here; "), host(2)], [])
    assert status == 1 and "can't update object" in err
    assert server.hosts == {host(2).name}


def test_a_wrong_key_and_nobody_there_are_told_apart_from_a_refusal(server: Server) -> None:
    assert server.burst([host(1)], [], key=base64.b64encode(b"x" * 32).decode())[0] == 3
    status, _, err = server.burst([host(1)], [], port=7912)
    assert status == 3 and "port 7912" in err
    assert server.hosts == set()


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"port": 7911, "key": "", "remove": [1], "add": [{"name": "x"}]}'])
def test_what_is_no_request_is_said(text: str) -> None:
    argv = omapi.burst([], [], port=PORT, key=KEY, why="test").argv
    done = subprocess.run(argv, input=text, capture_output=True, text=True, timeout=60)
    assert done.returncode == 2 and "not a request" in done.stderr


def test_it_finds_its_modules_wherever_they_were_installed() -> None:
    """By an interpreter that knows nothing of us, as that of an installed service is; from a folder of nobody's."""
    argv = omapi.burst([], [], port=PORT, key=KEY, why="test").argv
    bare = Path(sys.base_prefix) / "bin" / "python3"
    assert subprocess.run([bare, "-I", "-c", "import zonehookd"], capture_output=True).returncode != 0
    done = subprocess.run([bare, *argv[1:]], input="", capture_output=True, text=True, timeout=60, cwd="/", env={})
    assert done.returncode == 2 and "not a request" in done.stderr


def test_a_burst_hides_its_key_and_shows_what_it_does() -> None:
    change = omapi.burst([host(1)], ["zonehookd-a_0-0123456789ab"], port=PORT, key=KEY, why="test")
    assert change.secret and KEY not in " ".join((*change.argv, *change.shows))
    assert change.argv[0] == sys.executable
    assert change.shows == (
        "- host zonehookd-a_0-0123456789ab",
        f"+ host {host(1).name} 02:08:20:00:00:01 10.1.0.1",
    )
    assert json.loads(change.stdin)["key"] == KEY
    assert change.judge(3, "").busy and change.judge(1, "").again and not change.judge(2, "").again


def test_three_hundred_at_once(server: Server) -> None:
    many = []
    for number in range(300):
        high, low = divmod(number, 250)
        address = IPv4Address(f"10.1.{high}.{low + 1}")
        many.append(omapi.named(f"z{number}_0", f"02:08:21:00:{high:02x}:{low:02x}", address, ""))
    began = time.monotonic()
    assert server.burst(many, []) == (0, '{"added": 300, "removed": 0}\n', "")
    assert time.monotonic() - began < 30
    assert len(server.hosts) == 300
