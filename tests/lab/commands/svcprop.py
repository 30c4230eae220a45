"""svcprop(1): property values, of the running snapshot unless told otherwise [services 3.4]."""

from __future__ import annotations

from dataclasses import dataclass

from lab.call import Call, Exit
from lab.getopt import getopt
from lab.smf import console
from lab.smf import repository as repo
from lab.smf.repository import Entity, Groups
from lab.smf.restarter import Restarter
from lab.smf.values import Property
from lab.world import NotEmulated

USAGE = """\
Usage: svcprop [-fqtv] [-C | -c | -s snapshot] [-z zone] [-p [name/]name]...
\t{FMRI | pattern}...
       svcprop -w [-fqtv] [-z zone] [-p [name/]name] {FMRI | pattern}
"""
_LOOK_SECONDS = 0.5


@dataclass
class Asked:
    call: Call
    known: Restarter
    full: bool  # -f
    types: bool  # -t
    quiet: bool  # -q
    view: str  # running | current | own
    wanted: list[tuple[str, str]]  # (group, property or "")
    many: bool = False  # several operands
    status: int = 0

    def complain(self, text: str) -> None:
        self.status = 1
        if not self.quiet:
            self.call.err(f"svcprop: {text}\n")


def main(call: Call) -> int:
    options, operands = getopt(call.argv[1:], "aCcfp:qs:tvwz:")
    letters = {option.letter: option.value for option in options}
    if "?" in letters or not operands or len(letters.keys() & set("Ccs")) > 1:
        call.err(USAGE)
        return 2
    for letter in sorted(letters.keys() & set("a")):
        raise NotEmulated(f"svcprop -{letter}")
    if letters.get("s", "running") != "running":
        raise NotEmulated(f"the snapshot {letters['s']!r}")
    view = "own" if "C" in letters else "current" if "c" in letters else "running"
    wanted = [option.value.partition("/")[::2] for option in options if option.letter == "p"]
    asked = Asked(call, console.restarter(call, letters.get("z")), "f" in letters, "t" in letters, "q" in letters, view,
                  wanted)  # fmt: skip
    with asked.known.changed:
        found = _entities(asked, operands)
        asked.many = len(found) > 1
        if "w" in letters:
            _wait(asked, found)
        for entity in found:
            _show(asked, entity)
    return asked.status


def _entities(asked: Asked, operands: list[str]) -> list[Entity]:
    found: dict[str, Entity] = {}
    for operand in operands:
        hits = [instance.entity for instance in asked.known.find(operand)]
        service = asked.known.repository.entities.get(operand)
        if service is not None and not service.instance:
            hits = [service]  # a service's full name is the service
        if not hits:
            asked.complain(f"Pattern '{operand}' doesn't match any entities")
        found.update({hit.fmri: hit for hit in hits})
    return list(found.values())


def _groups(asked: Asked, entity: Entity) -> Groups:
    """What the caller sees of `entity`; groups that no snapshot holds are always the current ones."""
    if not entity.instance or asked.view == "own":
        groups = dict(entity.groups)
    else:
        repository = asked.known.repository
        groups = dict(entity.running) if asked.view == "running" else repository.compose(entity)
    if entity.instance:
        groups[repo.RESTARTER] = asked.known.instances[entity.fmri].group()
        if repo.GENERAL_OVR in entity.groups:
            groups[repo.GENERAL_OVR] = entity.groups[repo.GENERAL_OVR]
    groups.pop("zonelab", None)
    return groups


def _wait(asked: Asked, found: list[Entity]) -> None:
    """`-w`: until the property group changes."""
    if len(found) != 1 or len(asked.wanted) != 1:
        asked.call.err(USAGE)
        raise Exit(2)
    group = asked.wanted[0][0]
    before = found[0].changes.get(group, 0)
    while found[0].changes.get(group, 0) == before:
        asked.known.changed.wait(_LOOK_SECONDS)
        if asked.call.linger(0) or asked.known.stopped:
            raise Exit(1)


def _show(asked: Asked, entity: Entity) -> None:
    groups = _groups(asked, entity)
    kind = "instance" if entity.instance else "service"
    rows: list[tuple[str, str, Property]] = []
    for group, name in asked.wanted or [(each, "") for each in groups]:
        found = groups.get(group)
        if found is None:
            asked.complain(f"Couldn't find property group `{group}' for {kind} `{entity.fmri}'.")
        elif name and name not in found.properties:
            asked.complain(f"Couldn't find property `{group}/{name}' for {kind} `{entity.fmri}'.")
        else:
            rows += [(group, each, found.properties[each]) for each in ([name] if name else found.properties)]
    if asked.quiet:
        return
    single = len(asked.wanted) == 1 and asked.wanted[0][1] != ""
    if single and not (asked.types or asked.full or asked.many):
        for _, _, value in rows:
            asked.call.out(f"{value.shown()}\n")
        return
    for group, name, value in rows:
        asked.call.out(f"{_designator(asked, entity, group, name)} {value.type} {value.shown()}".rstrip() + "\n")


def _designator(asked: Asked, entity: Entity, group: str, name: str) -> str:
    if not (asked.full or asked.many):
        return f"{group}/{name}"
    return f"{entity.fmri}/:properties/{group}/{name}"
