"""The same number of links by others, in network namespaces of our own: one `ip -batch`, and the CNI bridge plugin.

`ip -batch` is told to make exactly what the lab makes for a VNIC: one request for a veth pair, one end on a bridge, the
other in a second network namespace, with MAC and MTU. CNI does more for each container (an address, a route, a name
inside), and starts two processes for it, as its callers do.
"""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from lab import linux

CNI = Path("/usr/lib/cni")


@contextmanager
def networks(count: int) -> Iterator[list[int]]:
    """Descriptors of new network namespaces, which are gone afterwards with all that is in them."""
    made: list[int] = []
    try:
        for _ in range(count):
            made.append(linux.new_network())
        yield made
    finally:
        for fd in made:
            os.close(fd)


def ip_batch(number: int) -> float:
    """Seconds from the start to the exit of one `ip -batch` that makes `number` links."""
    with networks(2) as (wire, home), tempfile.NamedTemporaryFile("w", suffix=".batch") as batch:
        for index in range(number):
            mac = f"02:08:20:{index >> 16 & 255:02x}:{index >> 8 & 255:02x}:{index & 255:02x}"
            batch.write(
                f"link add w{index} mtu 65535 master bridge up type veth "
                f"peer name v{index} address {mac} mtu 1500 netns home\n"
            )
        batch.flush()
        with linux.network_of(wire):
            _run("ip", "link", "add", "bridge", "mtu", "65535", "type", "bridge", "mcast_snooping", "0")
            _run("ip", "link", "set", "bridge", "up")
            _name_network(home)
            began = time.perf_counter()
            _run("ip", "-batch", batch.name)
            return time.perf_counter() - began


def _name_network(fd: int) -> None:
    """As `ip` knows it by the name `home`; the folder is the lab host's own and goes with it."""
    folder = Path("/run/netns")
    folder.mkdir(parents=True, exist_ok=True)
    name = folder / "home"
    name.unlink(missing_ok=True)
    name.symlink_to(f"/proc/{os.getpid()}/fd/{fd}")


def cni_bridge(number: int, at_once: int) -> float:
    """Seconds for `number` calls of ADD (bridge with host-local addresses), `at_once` at a time."""
    with networks(number + 1) as (host, *containers), tempfile.TemporaryDirectory() as folder:
        network = {
            "cniVersion": "0.4.0",
            "name": "bench",
            "type": "bridge",
            "bridge": "cni0",
            "ipam": {"type": "host-local", "subnet": "10.88.0.0/16", "dataDir": folder},
        }
        text = json.dumps(network).encode()

        def add(index: int) -> None:
            environ = {
                "CNI_COMMAND": "ADD",
                "CNI_CONTAINERID": f"container{index}",
                "CNI_NETNS": f"/proc/{os.getpid()}/fd/{containers[index]}",
                "CNI_IFNAME": "eth0",
                "CNI_PATH": str(CNI),
                "PATH": "/usr/sbin:/usr/bin",
            }
            with linux.network_of(host):
                subprocess.run([CNI / "bridge"], input=text, env=environ, stdout=subprocess.DEVNULL, check=True)

        with ThreadPoolExecutor(at_once) as workers:
            began = time.perf_counter()
            list(workers.map(add, range(number)))
            return time.perf_counter() - began


def has_cni() -> bool:
    return (CNI / "bridge").exists() and (CNI / "host-local").exists()


def _run(*argv: str) -> None:
    subprocess.run(argv, check=True, stdout=subprocess.DEVNULL)
