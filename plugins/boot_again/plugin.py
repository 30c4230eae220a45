"""A zone whose boot failed for want of a link gets a second boot, once, when the link is there.

A zone that is configured and booted in the same breath is in zoneadmd's hands before its VNIC can be made. Its admin
wanted it to run; so, when the kernel's events say that its boot failed and we have made its link since, it is booted
again. Once: whether that goes well or not, the next word is the admin's.
"""

from __future__ import annotations

from zonehookd.illumos import zoneadm
from zonehookd.plugin import HostReader, Plan, ZonePlugin, ZoneState, ZoneView, nothing


class BootAgain(ZonePlugin[None]):
    name = "boot_again"
    after = ("vnic",)

    def concerns(self, view: ZoneView, host: HostReader) -> bool:
        return view.boot_missed

    async def observe(self, zone: ZoneView, host: HostReader) -> None:
        """Everything it needs to know is in the zone itself."""

    def plan(self, zone: ZoneView, seen: None) -> Plan:
        if not zone.boot_missed:
            return nothing("no boot was missed")
        if zone.zone.state is not ZoneState.INSTALLED:
            return nothing(f"a boot was missed, but the zone is {zone.zone.state} by now")
        why = "its boot failed before its link was there; it is there now"
        return Plan((zoneadm.boot(zone.zone.name, why=why),))
