"""`zonelab lease ZONE IF`: everything the DHCP client on that interface was given. No illumos here."""

from __future__ import annotations

import argparse
import json

from lab import dhcp, dhcp_packet
from lab.call import Call


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("zone", metavar="ZONE")
    parser.add_argument("interface", metavar="IF")


def main(call: Call, options: argparse.Namespace) -> int:
    """Exit status: 1 when no client runs there or it has no lease."""
    with call.world.lock:
        lease = dhcp.find(call.world, options.zone, options.interface)
        if lease is None or lease.client is None:
            call.err(f"zonelab: no DHCP client on {options.interface} of zone {options.zone}\n")
            return 1
        reply = lease.client.acknowledgement()
        if reply is None or not lease.address.address:
            call.err(f"zonelab: the DHCP client on {options.interface} of zone {options.zone} has no lease\n")
            return 1
        answer = {
            "zone": lease.zone,
            "object": lease.address.name,
            "address": lease.address.address,
            "next_server": reply.next_server,
            "server_name": reply.server_name,
            "boot_file": reply.boot_file,
            "options": {
                str(number): {
                    "name": dhcp_packet.name_of(number),
                    "value": dhcp_packet.value_of(number, data),
                    "hex": data.hex(),
                }
                for number, data in sorted(reply.options.items())
            },
        }
    call.out(json.dumps(answer) + "\n")
    return 0
