"""What svcs, svcadm and svcprop share: the zone they speak to, and what their operands mean [services 3.1, 3.3]."""

from __future__ import annotations

from lab.call import Call, Exit
from lab.smf import fmri as names
from lab.smf.host import restarter_of
from lab.smf.instance import Instance
from lab.smf.restarter import Restarter
from lab.world import GLOBAL, NotEmulated
from lab.zonefiles import ZonecfgError, state_of

_UNAVAILABLE = {
    "svcadm": "svcadm: Couldn't bind to configuration repository: repository server unavailable.\n",
    "svccfg": "svccfg: Could not connect to repository server: repository server unavailable.\n",
    "svcprop": "svcprop: Could not connect to configuration repository: repository server unavailable.\n",
    "svcs": "svcs: Could not bind to repository server: repository server unavailable.  Exiting.\n",
}


def restarter(call: Call, zone: str | None = None) -> Restarter:
    """That of `zone` (``-z``), or of the zone the caller is in. Raises `Exit`."""
    program = call.argv[0]
    if zone is not None and call.zone != GLOBAL:
        raise NotEmulated(f"{program} -z inside a zone")
    where = call.zone if zone is None else zone
    if where != GLOBAL:
        try:
            state_of(call.world, where)
        except ZonecfgError:
            call.err(f"{program}: invalid zone '{where}'\n")
            raise Exit(1) from None
    found = restarter_of(call.world, where)
    if found is None:
        call.err(_UNAVAILABLE[program])
        raise Exit(1)
    return found


def matching(call: Call, known: Restarter, operands: list[str], only_one: bool = False) -> tuple[list[Instance], int]:
    """(the instances meant, 0 or 1): what matches nothing is complained about.

    With `only_one` a name without wildcards must mean a single instance.
    """
    found: dict[str, Instance] = {}
    status = 0
    for operand in operands:
        hits = known.find(operand)
        if not hits:
            call.err(f"{call.argv[0]}: Pattern '{operand}' doesn't match any instances\n")
            status = 1
        elif only_one and len(hits) > 1 and not names.is_pattern(operand):
            listed = "".join(f"\t{hit.fmri}\n" for hit in hits)
            call.err(f"{call.argv[0]}: Pattern '{operand}' matches multiple instances:\n{listed}")
            status = 1
        else:
            found.update({hit.fmri: hit for hit in hits})
    return list(found.values()), status
