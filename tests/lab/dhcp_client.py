"""A real DHCP client, udhcpc, on one interface of one network namespace; what it is told arrives at the lab's door.

It runs outside of any zone's process namespace, on the zone's network: nothing in the zone or on the machine is touched
by it. For each event it starts `REPORTER`, a launcher like those of the commands, whose environment holds what the
server said; `TICKET` in there says which client it is. The last acknowledgement is also kept as it came over the wire.
"""

from __future__ import annotations

import contextlib
import ctypes
import shutil
import signal
import socket
import struct
import subprocess
import threading

from lab import dhcp_packet, door, linux
from lab.world import NotEmulated

REPORTER = "zonelab-lease"
TICKET = "ZONELAB_LEASE"
_PROGRAM = "udhcpc"
# Every option a test might ask about; 1, 3, 6, 12, 15, 28 and 42 are udhcpc's own wish.
_WISHES = ("2", "26", "33", "43", "44", "66", "67", "119", "121", "252")
_TIMES = ("-t", "5", "-T", "3", "-A", "3")  # five tries three seconds apart, then a pause of three, for ever
_RELEASE_SECONDS = 2.0
_ETH_P_IP = 0x0800
_SO_ATTACH_FILTER = 26


class _Program(ctypes.Structure):
    _fields_ = [("length", ctypes.c_ushort), ("code", ctypes.c_void_p)]


class DhcpClient:
    """Runs from construction to `stop`. Raises `NotEmulated` when the machine has no client."""

    def __init__(self, network_fd: int, interface: str, mac: str, host_name: str, ticket: str) -> None:
        """`interface` is the kernel's name, `mac` padded; `host_name` "" sends none."""
        program = shutil.which(_PROGRAM, path="/usr/sbin:/sbin:/usr/bin:/bin")
        if program is None:
            raise NotEmulated(f"a DHCP client without {_PROGRAM} on the machine (Debian package udhcpc)")
        self.deconfigured = threading.Event()  # it has said so; set by whoever hears it
        self._acknowledgement = b""
        argv = [program, "-f", *_TIMES, "-i", interface, "-s", f"{door.STATE}/bin/{REPORTER}"]
        argv += [word for wish in _WISHES for word in ("-O", wish)]
        argv += ["-x", f"hostname:{host_name}"] if host_name else []
        with linux.network_of(network_fd):  # a child is born where its parent's thread stands
            self._ear = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
            _listen_for(self._ear, bytes.fromhex(mac.replace(":", "")))
            self._ear.bind((interface, _ETH_P_IP))
            self._process = subprocess.Popen(
                argv,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                env={"PATH": "/usr/sbin:/usr/bin", TICKET: ticket},
                cwd="/",
                start_new_session=True,
            )

    def renew(self) -> None:
        self._process.send_signal(signal.SIGUSR1)

    def stop(self, release: bool = False) -> None:
        """The process is gone when this returns; with `release` the server has been told, if there was a lease."""
        if release:
            self.deconfigured.clear()
            self._process.send_signal(signal.SIGUSR2)
            self.deconfigured.wait(_RELEASE_SECONDS)
        self._process.kill()
        self._process.wait()
        self._ear.close()

    def acknowledgement(self) -> dhcp_packet.Reply | None:
        """The newest DHCPACK for us."""
        with contextlib.suppress(BlockingIOError):
            while True:
                frame = self._ear.recv(65535, socket.MSG_DONTWAIT)
                payload = frame[14 + 4 * (frame[14] & 0x0F) + 8 :]
                if dhcp_packet.is_acknowledgement(payload):
                    self._acknowledgement = payload
        return dhcp_packet.decode(self._acknowledgement) if self._acknowledgement else None


def _listen_for(ear: socket.socket, mac: bytes) -> None:
    """A filter of the kernel's: UDP to port 68 about our hardware address, and nothing else is ever queued."""
    high, low = struct.unpack("!IH", mac)
    code = [  # (operation, where to when true, when false, operand)
        (0x28, 0, 0, 12), (0x15, 0, 10, 0x0800),  # ethertype IPv4
        (0x30, 0, 0, 23), (0x15, 0, 8, 17),  # UDP
        (0xB1, 0, 0, 14),  # x = length of the IP header
        (0x48, 0, 0, 16), (0x15, 0, 5, 68),  # destination port
        (0x40, 0, 0, 50), (0x15, 0, 3, high),  # client hardware address
        (0x48, 0, 0, 54), (0x15, 0, 1, low),
        (0x06, 0, 0, 65535),
        (0x06, 0, 0, 0),
    ]  # fmt: skip
    buffer = ctypes.create_string_buffer(b"".join(struct.pack("=HBBI", *each) for each in code))
    ear.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, bytes(_Program(len(code), ctypes.addressof(buffer))))
