"""route(8), on the stack of the zone it runs in [network 5.2]."""

from __future__ import annotations

import errno
import ipaddress
from pathlib import Path

from lab import autoconf, datalinks, ipadm_conf, routes
from lab.call import Call, Exit
from lab.getopt import NO_VALUE, UNKNOWN, getopt
from lab.routes import Botched, Wanted
from lab.world import NotEmulated, Refused

# What a refusal is called and which errno becomes the exit status: illumos numbers, not this host's.
ERRNO = {
    "entry exists": 17,
    "not in table": 3,
    "entry in use": 16,
    "insufficient privileges": 1,
    "Network is unreachable": 128,
    "Resource temporarily unavailable": 11,
}
STATUS = {"link busy": "entry in use", "try again later": "Resource temporarily unavailable"}
USAGE = "usage: route [ -fnpqv ] [ -R root-dir ] cmd [[ -<qualifers> ] args ]\n"
COMMANDS = ("add", "delete", "get", "show", "flush", "change", "monitor")


class Route:
    """One run. Text is kept until the lock is free."""

    def __init__(self, call: Call) -> None:
        self.call = call
        self.world = call.world
        self.numeric = self.persistent = self.quiet = False
        self.root: Path | None = None  # only the file below it is edited
        self.text: list[str] = []
        self.complaints: list[str] = []

    def complain(self, text: str) -> None:
        self.complaints.append(text + "\n")

    def run(self) -> int:
        options, words = getopt(self.call.argv[1:], "fnpqvR:")
        for option in options:
            match option.letter:
                case "n":
                    self.numeric = True
                case "p":
                    self.persistent = True
                case "q":
                    self.quiet = True
                case "R":
                    self.root = self.world.path(option.value)
                case "?" | ":":
                    assert option.letter in (UNKNOWN, NO_VALUE)
                    self.complaints.append(USAGE)
                    return 1
                case other:
                    raise NotEmulated(f"route -{other}")
        if not words or words[0] not in COMMANDS:
            self.complaints.append(USAGE)
            return 1
        command, arguments = words[0], words[1:]
        if command == "change" and self.persistent:
            self.complain("route: change command not supported with -p")
            return 1
        if command in ("flush", "change", "monitor"):
            raise NotEmulated(f"route {command}")
        if command == "show":
            return self.show()
        if command == "get":
            return self.get(arguments)
        return self.change(command, arguments)

    # add, delete --------------------------------------------------------------------------------------------------

    def change(self, command: str, arguments: list[str]) -> int:
        wanted = routes.parse(arguments)
        status = 0
        if self.root is None or not self.persistent:
            status = self.in_kernel(command, wanted)
        if not self.persistent or status not in (0, ERRNO["entry exists"], ERRNO["not in table"]):
            return status
        return self.in_file(command, wanted, arguments)

    def in_kernel(self, command: str, wanted: Wanted) -> int:
        """The result, good or bad, is on stdout, and the exit status is an errno."""
        line = f"{command} {wanted.kind} {wanted.typed}: gateway {wanted.gateway if self.numeric else wanted.via}"
        deed = routes.add if command == "add" else routes.delete
        try:
            if not self.call.privileged:
                raise Refused("insufficient privileges")
            deed(self.world, self.call.zone, wanted, self.call.operate)
        except Refused as refused:
            reason = STATUS.get(refused.status, refused.status)
            self.text.append(f"{line}: {reason}\n")
            return ERRNO.get(reason, errno.EIO)
        if not self.quiet:
            self.text.append(f"{line}\n")
        return 0

    def in_file(self, command: str, wanted: Wanted, arguments: list[str]) -> int:
        root = self.files()
        lines = routes.stored(root)
        known = routes.find_stored(lines, wanted)
        line = f"{command} persistent {wanted.kind} {wanted.typed}: gateway {wanted.via}"
        if command == "add" and known is not None:
            self.complain(f"{line}: entry exists")
            return 1
        if command == "delete" and known is None:
            self.complain(f"{line}: not in file")
            return 1
        self.call.half_way()
        routes.store(root, [*lines, " ".join(arguments)] if command == "add" else [x for x in lines if x != known])
        self.text.append(f"{line}\n")
        return 0

    def files(self) -> Path:
        return self.root if self.root is not None else ipadm_conf.root_of(self.world, self.call.zone)

    # show, get ----------------------------------------------------------------------------------------------------

    def show(self) -> int:
        if not self.persistent:
            self.complain("route: show command requires -p")
            return 1
        lines = routes.stored(self.files())
        self.text += [f"persistent: route add {line}\n" for line in lines]
        if not lines:
            self.text.append("No persistent routes are defined\n")
        return 0

    def get(self, arguments: list[str]) -> int:
        wanted = routes.parse(arguments, gateway_needed=False)
        target = wanted.typed.partition("/")[0]
        if wanted.destination == routes.DEFAULT:
            found = routes.default(self.world, self.call.zone, wanted.family)
        else:
            found = routes.lookup(self.world, self.call.zone, target)
        if found is None:
            self.text.append(f"{' ' if self.numeric else ''}{wanted.typed}: not in table\n")
            return ERRNO["not in table"]
        destination, mask = "default", "default"
        if found.destination != routes.DEFAULT:
            network = ipaddress.ip_network(found.destination)
            destination, mask = str(network.network_address), str(network.netmask)
        rows = [("route to", target), ("destination", destination), ("mask", mask)]
        flags = "UP,DONE"
        if found.gateway:
            rows.append(("gateway", found.gateway))
            flags = "UP,GATEWAY,DONE,STATIC"
        rows += [("interface", found.interface), ("flags", f"<{flags}>")]
        self.text += [f"{name:>11s}: {value}\n" for name, value in rows]
        link = datalinks.lookup(self.world, found.interface)
        mtu = link.mtu if link else 8232
        self.text.append(" recvpipe  sendpipe  ssthresh    rtt,ms rttvar,ms  hopcount      mtu     expire\n")
        self.text.append(f"{0:8d}  {0:8d}  {0:8d}  {0:8d}  {0:8d}  {0:8d}  {mtu:8d}  {0:8d}\n")
        return 0


def main(call: Call) -> int:
    route = Route(call)
    try:
        with call.world.lock:
            autoconf.refresh(call.world, call.zone)
            status = route.run()
    except Botched as botched:
        route.complain(str(botched))
        status = 1
    except Exit as leave:
        status = leave.status
    call.out("".join(route.text))
    call.err("".join(route.complaints))
    return status
