"""What several plugins need to know of a NIC."""

from __future__ import annotations

from zonehookd.host.doors import HostReader
from zonehookd.illumos import linkname
from zonehookd.model.attachment import Attachment


def expected_mac(attachment: Attachment, host: HostReader) -> str:
    """The MAC of a NIC, padded: as asked for, as recorded, or as it will be derived; also before its VNIC is made."""
    if attachment.nic.mac:
        return attachment.nic.mac
    record = host.recall_one("vnic", attachment.link)
    recorded = record.facts.get("mac", "") if record is not None else ""
    return recorded or linkname.derived_mac(host.site, attachment.link)
