"""What several plugins need to know of a NIC."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from zonehookd.host.doors import HostReader
from zonehookd.illumos import dladm, linkname
from zonehookd.model.attachment import Attachment


async def expected_macs(attachments: Iterable[Attachment], host: HostReader) -> Mapping[str, str]:
    """Link -> the MAC of the NIC, padded: as asked for, as it is, or as it will be when its VNIC is made.

    Whoever made the VNIC: one that was there before us is used with the MAC it has. A link is missing whose brand makes
    it at boot and has not said with which MAC (zones sheet 6.3). Raises CannotObserve.
    """
    there = await host.ask(dladm.vnics(host.dialect))
    found = {each.link: _expected(each, there.get(each.link), host) for each in attachments}
    return {link: mac for link, mac in found.items() if mac}


def _expected(attachment: Attachment, there: dladm.Vnic | None, host: HostReader) -> str:
    if attachment.nic.mac:
        return attachment.nic.mac
    if there is not None and there.over == attachment.network.link:
        return there.mac
    if attachment.on_demand:
        return ""
    record = host.recall_one("vnic", attachment.link)
    recorded = record.facts.get("mac", "") if record is not None else ""
    return recorded or linkname.derived_mac(host.site, attachment.link)
