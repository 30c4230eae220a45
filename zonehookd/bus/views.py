"""From the engine's nouns to the wire's rows; pure."""

from __future__ import annotations

from collections.abc import Mapping
from ipaddress import ip_address
from typing import Any, Literal

from zonehookd.bus.messages import AddressRow, GatewayRow, LinkRow, NetworkRow, NoteRow, StepRow, SubjectRow, ZoneRow
from zonehookd.engine.reconciler import SubjectPlan
from zonehookd.engine.site import Site
from zonehookd.engine.views import behind_it
from zonehookd.illumos.dladm import Link, Vnic
from zonehookd.model import subject
from zonehookd.model.attachment import Attachment
from zonehookd.model.command import Change
from zonehookd.model.outcome import Outcome, Result
from zonehookd.model.plan import GATEWAY_SHUT, Forget, Note, Remember, Step, describe
from zonehookd.model.record import ADDRESS, Record
from zonehookd.model.subject import Subject
from zonehookd.store.store import Store

_LOST = "gateway-lost"


def note_row(note: Note) -> NoteRow:
    return NoteRow(kind=note.kind, text=note.text, code=note.code, object=note.object, hint=note.hint)


def plan_row(plan: SubjectPlan) -> SubjectRow:
    return SubjectRow(
        kind=plan.subject.kind,
        name=plan.subject.name,
        steps=[
            StepRow(plugin=each.plugin, step=describe(each.step), why=each.step.why, shows=_shows(each.step))
            for each in plan.steps
        ],
        notes=[note_row(note) for note in plan.notes],
        error=plan.blind or plan.failed,
    )


def outcome_row(outcome: Outcome) -> SubjectRow:
    return SubjectRow(
        kind=outcome.subject.kind,
        name=outcome.subject.name,
        result=outcome.result.value,
        steps=[
            StepRow(
                plugin=done.plugin,
                step=describe(done.step),
                why=done.step.why,
                shows=_shows(done.step),
                ok=done.ok,
                seconds=round(done.seconds, 6),
                error=done.error,
            )
            for done in outcome.steps
        ],
        notes=[note_row(note) for note in outcome.notes],
        error=outcome.error,
    )


def _shows(step: Step) -> list[str]:
    return list(step.shows) if isinstance(step, Change) else []


def changes_host(step: Step) -> bool:
    """Book-keeping alone is no change of the host."""
    return not isinstance(step, Remember | Forget)


def troubled(outcome: Outcome) -> bool:
    """Somebody should look at this subject."""
    return outcome.result not in (Result.NOOP, Result.CHANGED) or any(n.kind != "nothing" for n in outcome.notes)


def trouble_rows(latest: Mapping[Subject, Outcome]) -> list[SubjectRow]:
    """Those whom somebody should look at. That a gateway was deleted is said once, by the note that says for whom."""
    rows = []
    for each, outcome in sorted(latest.items()):
        if not troubled(outcome) or _said_by_its_gateway(each, latest):
            continue
        row = outcome_row(outcome)
        if any(note.code == _LOST for note in row.notes):
            row.notes = [note for note in row.notes if note.code != GATEWAY_SHUT]
        rows.append(row)
    return rows


def _said_by_its_gateway(each: Subject, latest: Mapping[Subject, Outcome]) -> bool:
    if each.kind != "zone" or subject.gateway(each.name) not in latest:
        return False
    zone, gateway = latest[each], latest[subject.gateway(each.name)]
    return {note.code for note in zone.notes} == {_LOST} and any(note.code == _LOST for note in gateway.notes)


def _trouble(latest: Mapping[Subject, Outcome], each: Subject) -> tuple[str, list[NoteRow]]:
    outcome = latest.get(each)
    if outcome is None:
        return "", []
    rows = [note_row(note) for note in outcome.notes if note.kind != "nothing"]
    if outcome.error:
        rows.append(NoteRow(kind="failed", text=outcome.error))
    return outcome.result.value, rows


def attachment_row(attachment: Attachment) -> dict[str, Any]:
    return {
        "link": attachment.link,
        "network": attachment.network.name,
        "over": attachment.network.link,
        "addresses": [str(address) for address in attachment.addresses],
        "role": attachment.role,
        "found_by": attachment.found_by,
        "on_demand": attachment.on_demand,
    }


def zone_rows(site: Site, latest: Mapping[Subject, Outcome]) -> list[ZoneRow]:
    rows = []
    for name, zone in sorted(site.zones.items()):
        result, trouble = _trouble(latest, subject.zone(name))
        rows.append(
            ZoneRow(
                name=name,
                state=zone.state.value,
                brand=zone.config.brand if zone.config else "",
                result=result,
                attachments=[attachment_row(each) for each in site.of_zone(name).attachments],
                trouble=trouble,
            )
        )
    return rows


def network_rows(site: Site, latest: Mapping[Subject, Outcome]) -> list[NetworkRow]:
    rows = []
    for name, network in sorted(site.networks.items()):
        result, trouble = _trouble(latest, subject.network(name))
        rows.append(
            NetworkRow(
                name=name,
                cidr=[str(cidr) for cidr in network.cidrs],
                link=network.link,
                kind="internal" if network.internal else "external",
                mtu=network.mtu,
                zones=len({each.zone for each in site.on_network.get(name, ())}),
                result=result,
                trouble=trouble,
            )
        )
    return rows


def gateway_rows(site: Site, latest: Mapping[Subject, Outcome]) -> list[GatewayRow]:
    rows = []
    for name, gateway in sorted(site.gateways.items()):
        result, trouble = _trouble(latest, subject.gateway(name))
        shut = next((note.text for note in trouble if note.code == GATEWAY_SHUT or note.kind == "failed"), "")
        outer = next((each for each in site.of_zone(name).attachments if each.role == "outside"), None)
        rows.append(
            GatewayRow(
                name=name,
                kind=gateway.kind,
                open=result in ("noop", "changed") and not shut,
                text=shut,
                outside=gateway.outside.name if gateway.outside else "",
                addresses=[str(each) for each in (outer.addresses if outer else gateway.addresses)],
                networks=list(gateway.networks),
                forwards=[f"{each} to {each.to}" for each in gateway.forwards],
                zones=len(behind_it(site, name)),
                trouble=trouble,
            )
        )
    return rows


def address_rows(store: Store) -> list[AddressRow]:
    """Every address out of a pool, in order."""
    rows = []
    for record in store.of_kind(ADDRESS):
        network, _, address = record.name.partition("/")
        state: Literal["in use", "resting"] = "resting" if "freed" in record.facts else "in use"
        zone, link = record.facts["zone"], record.facts["link"]
        rows.append(AddressRow(network=network, address=address, zone=zone, link=link, state=state))
    return sorted(rows, key=lambda row: (row.network, ip_address(row.address).version, int(ip_address(row.address))))


def link_rows(site: Site, links: Mapping[str, Link], vnics: Mapping[str, Vnic], store: Store) -> list[LinkRow]:
    """Every link that is ours, or lies on a declared network, or is named by a zone."""
    lower = {network.link for network in site.networks.values()}
    records = {record.name: record for record in store.all() if record.kind in ("etherstub", "vnic")}
    names = {name for name, link in links.items() if link.over in lower or name in lower or name in site.holders}
    rows = []
    for name in sorted(names | records.keys()):
        link, vnic, record = links.get(name), vnics.get(name), records.get(name)
        owner = str(record.owner) if record else f"zone:{site.holders[name]}" if name in site.holders else ""
        rows.append(
            LinkRow(
                name=name,
                kind=link.klass if link else record.kind if record else "",
                over=link.over if link else "",
                mac=vnic.mac if vnic else "",
                mtu=link.mtu if link else None,
                owner=owner,
                made_by="missing" if link is None else "us" if record else "somebody else",
            )
        )
    return rows


def record_row(record: Record) -> dict[str, Any]:
    return {"kind": record.kind, "name": record.name, "plugin": record.plugin, **record.facts}
