"""One NIC of one zone on one network, and the refusal when there is none to be had."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from zonehookd.model.network import Network
from zonehookd.model.subject import Subject
from zonehookd.model.zone import Address, Nic


@dataclass(frozen=True, slots=True)
class Attachment:
    """`found_by` says how the network was found: ``attribute``, ``global-nic``, ``address``, ``gateway`` or
    ``provisioning``.

    `role`: a member of the network, or its gateway's inner (`inside`) or outer (`outside`) side. `primary`: the NIC
    that has the zone's default route. `to_add`: the zone's configuration does not name the link yet; we add it.
    `leaving`: it is taken out of the configuration, and keeps what it has until the zone has let go of it.
    """

    zone: str
    nic: Nic
    network: Network
    addresses: tuple[Address, ...]
    found_by: str
    role: Literal["member", "inside", "outside"] = "member"
    primary: bool = False
    to_add: bool = False
    leaving: bool = False
    on_demand: bool = False  # the brand makes the VNIC at boot and deletes it at halt (sheet 6.3)

    @property
    def link(self) -> str:
        return self.nic.link


@dataclass(frozen=True, slots=True)
class Refusal:
    """What was wanted, on which object, who is in the way, the way out. `code` is stable, for programs."""

    subject: Subject
    code: str
    object: str  # the link or address it is about
    text: str
    owner: str = ""
    hint: str = ""

    def __str__(self) -> str:
        return f"{self.text} (hint: {self.hint})" if self.hint else self.text
