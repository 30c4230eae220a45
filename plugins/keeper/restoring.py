"""A gateway zone that was deleted, and the way back: its configuration, its files, its boot. Pure.

Each look does what is left to do, by what it finds; so it may end anywhere, and the next one goes on. What zonecfg made
is read back before anything rests on it: it commits also what came before an error (zones sheet 4.1).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from zonehookd.illumos import zoneadm, zonecfg, zoneexport
from zonehookd.model.few import few
from zonehookd.model.record import LET_GO
from zonehookd.model.renamed import named_back
from zonehookd.plugin import Change, Forget, GatewayView, Note, Plan, Record, Remember, WriteFile, Zone, ZoneState

MADE = "made"  # of a record RESTORE: its configuration is of our making
TRIES = "tries"  # of a record RESTORE: how often it was booted
FILES_ARE_GONE = "files_gone"  # of a record KEPT: what was installed is not any more; "yes": as it was restored
UNINSTALLED = "uninstalled"  # the other value: by somebody
_TRIES_MAX = 3
_WAITS = 'restored by itself too often within an hour, so [guard] restore = "auto" waits'
_SHOWN_MAX = 5
_NAMES_MAX = 8
Step = Change | Remember | Forget


@dataclass(frozen=True)
class Seen:
    """`kept`, `restore`, `let_go`: our records. `xml`: the zone's file as it is; `export`: what zonecfg prints of it,
    asked for when the file has changed. `added`: links that plugin gateway_nic put into its configuration. `files`: its
    zonepath is there. `others`: zones that have its files now, and their states. `blind`: why we could not look.
    `now_s`: on the wall clock. `linked`: zones behind it by a link alone. `leave`: somebody has or
    had a permit to take it away. `waits`: it was restored by itself so often that it is not any more for now.
    """

    kept: Record | None
    restore: Record | None
    now_s: float
    xml: str | None = None
    export: str | None = None
    added: tuple[str, ...] = ()
    files: bool = False
    others: tuple[tuple[str, ZoneState], ...] = ()
    blind: str = ""
    let_go: Record | None = None
    linked: tuple[str, ...] = ()
    leave: bool = False
    waits: bool = False


def let_go(gateway: GatewayView, seen: Seen) -> Plan:
    """It is gone, and nobody misses it. What it was is kept for who asks, and who is cut off is said."""
    name, why = gateway.name, f"zone {gateway.name} is gone"
    steps: list[Step] = [Forget(each.kind, name, why) for each in (seen.kept, seen.restore) if each is not None]
    if seen.kept is not None:
        steps = [Remember(replace(seen.kept, kind=LET_GO), why), *steps]
    cut_off = _cut_off(gateway, seen)
    if not cut_off or (seen.kept or seen.let_go) is None:
        return Plan(tuple(steps), (Note("nothing", why),))
    text = f"gateway zone {name} was deleted and let go, and zones are cut off ({cut_off})"
    return Plan(tuple(steps), (Note("refused", text, "gateway-let-go", name, f"zonehookctl guard restore {name}"),))


def mended(zone: Zone, kept: Record, restore: Record | None, file: Path) -> Plan:
    """Its file is damaged or gone, and its line in the index is there. Neither zoneadm nor zlogin does anything to such
    a zone, and zonecfg deletes it only while it is down (zones sheet 3.1, 4.3; gate usr/src/cmd/zoneadm/zoneadm.c main,
    usr/src/cmd/zlogin/zlogin.c main): while it runs, there is no way out but to put the file back. Which is all that
    is missing, so it runs on; the file is what libzonecfg wrote."""
    text = f"the configuration of gateway zone {zone.name} cannot be read: {zone.trouble}"
    if kept.facts["zonepath"] != zone.zonepath:
        hint = f"what is kept is of {kept.facts['zonepath']}, and it is in {zone.zonepath} now: mend {file} by hand"
        return Plan(notes=(Note("refused", text, "restore-differs", zone.name, hint),))
    notes = (Note("refused", text, "damaged", zone.name, f"zonehookctl guard restore {zone.name}"),)
    if restore is None:
        return Plan(notes=notes)
    return Plan((WriteFile(file, kept.facts["xml"], f"zone {zone.name} has its last good configuration back"),), notes)


def vanished(gateway: GatewayView, seen: Seen) -> Plan:
    """It is not there. Made again if somebody has asked for it."""
    name = gateway.name
    let_go = f"to let it go, zonehookctl guard permit {name} --for 10m --reason WHY"
    if seen.kept is None:
        return _refused(name, f"{_said(gateway)}; its configuration is not kept", f"make it anew; or {let_go}")
    if seen.blind:
        note = Note("waiting", f"what is left of zone {name}: {seen.blind}", "not-seen", name, again_after_s=5.0)
        return Plan(notes=(*_refused(name, _said(gateway), let_go).notes, note))
    if seen.others:
        other, state = seen.others[0]
        text = f"{_said(gateway)}; its files are zone {other}'s now"
        return _refused(name, text, f"if it was renamed: {named_back(name, other, state)}; or {let_go}")
    whole = seen.kept.facts["state"] == "installed" and seen.files
    left = "" if whole else ", and then zoneadm install, for what was installed is gone"
    text = f"{_said(gateway)}; {_WAITS}" if seen.waits and seen.restore is None else _said(gateway)
    notes = _refused(name, text, f"zonehookctl guard restore {name}{left}; or {let_go}").notes
    if seen.restore is None:
        return Plan(notes=notes)
    why = f"zone {name} was deleted, and is wanted back"
    made = replace(seen.restore, facts={**seen.restore.facts, MADE: "yes"})
    steps: list[Step] = [] if seen.restore == made else [Remember(made, why)]
    return Plan((*steps, zonecfg.create_from(name, seen.kept.facts["export"], why=why)), notes)


def restored(gateway: GatewayView, zone: Zone, restore: Record, seen: Seen) -> Plan:
    """It is there, and somebody has asked for it: installed, booted, and done."""
    end = Forget(restore.kind, restore.name, f"zone {zone.name} is restored")
    if seen.kept is None:
        return Plan((replace(end, why=f"zone {zone.name} is there, and nothing was kept of it"),))
    unknown = "its state is not known" if zone.state is ZoneState.UNKNOWN else ""
    if zone.trouble or seen.blind or seen.xml is None or unknown:
        why = zone.trouble or seen.blind or unknown or "its file is not there"
        return Plan(notes=(Note("waiting", f"restoring zone {zone.name}: {why}", "not-seen", zone.name, "", 5.0),))
    if zone.state.in_kernel:
        return Plan((end,))
    try:
        lacks = list(_lacks(seen.kept, seen.xml))
    except ValueError as problem:
        return _differs(zone, restore, str(problem))
    if lacks and zone.state is ZoneState.INSTALLED:
        return Plan((replace(end, why=f"zone {zone.name} is installed, and another one than before"),))
    if lacks:
        return _differs(zone, restore, f"it lacks {few(lacks, _SHOWN_MAX)}")
    if zone.state is ZoneState.INCOMPLETE:
        text = f"zone {zone.name} is restored, and incomplete: it is being installed, or that was given up"
        hint = f"zoneadm -z {zone.name} uninstall -F, then install"
        return Plan(notes=(Note("waiting", text, "incomplete", zone.name, hint, 5.0),))
    return _attached_and_booted(gateway, zone, restore, seen, end)


def _attached_and_booted(gateway: GatewayView, zone: Zone, restore: Record, seen: Seen, end: Forget) -> Plan:
    assert seen.kept is not None
    kept, name = seen.kept.facts, zone.name
    steps: list[Step] = []
    if zone.state is ZoneState.CONFIGURED:
        if seen.others:
            text = f"zone {name} is restored, but its files are zone {seen.others[0][0]}'s now"
            hint = f"give one of the two another zonepath, then zoneadm -z {name} install"
            return Plan(notes=(Note("refused", text, "restore-taken", name, hint),))
        if kept["state"] != "installed" or not seen.files:
            if kept["state"] != "configured" or FILES_ARE_GONE in kept:
                gone = replace(seen.kept, facts={**kept, FILES_ARE_GONE: "yes"})
                steps.append(Remember(gone, f"what was installed in zone {name} is gone"))
            return Plan((*steps, end))
        steps.append(zoneadm.attach_force(name, why=f"what is in {kept['zonepath']} is zone {name} as it was"))
    if kept["active"] == "yes":
        tries = int(restore.facts.get(TRIES, "0")) + 1
        if tries > _TRIES_MAX:
            text = f"zone {name} is restored, and was booted {_TRIES_MAX} times in vain"
            return Plan(notes=(Note("refused", text, "restore-no-boot", name, f"zoneadm -z {name} boot"),))
        again = replace(restore, facts={**restore.facts, TRIES: str(tries)})
        steps.append(Remember(again, f"zone {name} is booted, try {tries} of {_TRIES_MAX}"))
        steps.append(zoneadm.boot(name, why=f"gateway zone {name} ran when it was deleted"))
    return Plan((*steps, end))


def uninstalled(gateway: GatewayView, zone: Zone, seen: Seen, facts: Mapping[str, str]) -> list[Note]:
    """It was installed, and is only configured now. No hook is asked while a brand's files are being replaced, nor
    before a `zoneadm mark` (zones sheet 5.4), so it is said afterwards. `facts`: what is kept of it from now on."""
    how, cut_off = facts.get(FILES_ARE_GONE), _cut_off(gateway, seen)
    if how is None or zone.state is not ZoneState.CONFIGURED or (how == UNINSTALLED and (seen.leave or not cut_off)):
        return []
    text = f"gateway zone {zone.name} was {'detached' if seen.files else 'uninstalled'}"
    hint = f"zoneadm -z {zone.name} install; or mount {zone.zonepath}, then zoneadm -z {zone.name} attach -F"
    if seen.files:
        hint = f"zoneadm -z {zone.name} attach; or, with nothing in {zone.zonepath}, zoneadm -z {zone.name} install"
    text += f", and zones depend on it: {cut_off}" if cut_off else ""
    return [Note("refused", text, "gateway-uninstalled" if how == UNINSTALLED else "needs-install", zone.name, hint)]


def _lacks(kept: Record, xml: str) -> Iterator[str]:
    """What its file said and does not say now. NICs of plugin gateway_nic come and go as the networks do."""
    added = kept.facts["added"].split()
    for part in zoneexport.missing(kept.facts["xml"], xml):
        if part.tag != "network" or dict(part.attributes).get("physical") not in added:
            yield str(part)


def _differs(zone: Zone, restore: Record, how: str) -> Plan:
    name = zone.name
    if MADE in restore.facts:
        text, code = f"zone {name} is restored, but not as it was: {how}", "restore-differs"
        hint = f"mend it with zonecfg -z {name}; or take it as it is: zoneadm -z {name} attach -F"
    else:
        text, code = f"zone {name} was configured by somebody else meanwhile: {how}", "restore-taken"
        hint = f"zonecfg -z {name} delete -F, and the former is restored; or zoneadm -z {name} install, and this stays"
    return Plan(notes=(Note("refused", text, code, name, hint),))


def _said(gateway: GatewayView) -> str:
    if named := _members(gateway):
        return f"gateway zone {gateway.name} was deleted while zones depend on it ({named})"
    why = gateway.zone.trouble.partition(" (hint: ")[0] if gateway.zone is not None else "it was deleted"
    return f"gateway zone {gateway.name}: {why}"


def _cut_off(gateway: GatewayView, seen: Seen) -> str:
    by_link = f"by a link: {few(seen.linked, _NAMES_MAX)}" if seen.linked else ""
    return "; ".join(filter(None, (_members(gateway), by_link)))


def _members(gateway: GatewayView) -> str:
    """Network -> zones; "" if there are none."""
    networks = {
        name: sorted({each.zone for each in every if gateway.zones[each.zone].depends})
        for name, every in gateway.members.items()
    }
    named = [f"network {name}: {few(zones, _NAMES_MAX)}" for name, zones in sorted(networks.items()) if zones]
    return few(named, _NAMES_MAX, "; ")


def _refused(name: str, text: str, hint: str) -> Plan:
    return Plan(notes=(Note("refused", text, "gateway-lost", name, hint),))
