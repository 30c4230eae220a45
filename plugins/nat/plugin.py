"""NAT of a gateway: rules by identity, changed as a delta; the service is never refreshed, so no session is lost.

Three things agree in the end: what is wanted, what is in the kernel, and a marked block in ipnat.conf, from which the
kernel gets it at the next boot. What others put into either stays. Which rules are ours is in the books, written before
they are loaded.

The order matters. A new rule is added before an old one is removed: between the two both stand, and never none. Rules
of a network that goes are removed only when its side forwards no more, so no private source is ever seen outside.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from pydantic import Field

from zonehookd.illumos import ipadm, ipf, ipnat, marked, smf
from zonehookd.plugin import (
    GATEWAY_SHUT,
    GLOBAL,
    Change,
    Forget,
    GatewayPlugin,
    GatewayView,
    HostReader,
    Ip,
    Note,
    Plan,
    PluginOptions,
    Record,
    Remember,
    RemoveFile,
    WriteFile,
    nothing,
)
from zonehookd.plugin.translation import untranslated
from zonehookd.plugin.where import read_files, write_file

from .rules import Wanted, wanted

RULES, SERVICE = "nat", "service"
MARK = "nat"
Step = Change | Remember | Forget | WriteFile | RemoveFile


@dataclass(frozen=True)
class Seen:
    """`file` None: there is no ipnat.conf. `service` None: the zone has none; rules then last until it halts."""

    records: Mapping[str, Record]
    loaded: ipnat.Loaded = field(default_factory=lambda: ipnat.Loaded(enabled=False))
    file: str | None = None
    service: smf.Service | None = None
    forwarding: Mapping[tuple[str, ipadm.Family], bool] = field(default_factory=dict)
    outer: Mapping[int, Ip] = field(default_factory=dict)  # family -> own address on the outer side
    let_through: frozenset[str] = frozenset()  # LINK/FAMILY that plugin gateway has switched on, by its books
    held: frozenset[str] = frozenset()  # links on which it has done anything
    changing: bool = False  # its outer address is not of our choosing


class Nat(GatewayPlugin[Seen]):
    name = "nat"
    asks_each = True

    class Options(PluginOptions):
        file: Path = Field(
            Path("/etc/ipf/ipnat.conf"), description="where a marked block of ours has the rules for the next boot"
        )
        service: str = Field(
            "svc:/network/ipfilter:default", description="enabled when rules are wanted; never refreshed"
        )

    options: Options

    async def observe(self, gateway: GatewayView, host: HostReader) -> Seen:
        records = {record.kind: record for record in host.recall(gateway.subject)}
        declared, where = gateway.gateway, gateway.where
        wants = declared is not None and declared.ours and declared.outside is not None
        if gateway.trouble or not (wants or records):
            return Seen(records)
        outer: dict[int, Ip] = {}
        side = gateway.side(declared.outside.name) if declared is not None and declared.outside is not None else None
        given = [each.ip for each in (side.addresses if side else declared.addresses if declared else ())]
        changing = not given
        if changing and gateway.outer_link:
            found = await host.ask(ipadm.addresses(where))
            given = [a.address.ip for a in found if a.interface == gateway.outer_link and not a.address.is_link_local]
        for address in given:
            outer.setdefault(address.version, address)
        loaded, files, services, forwarding = await asyncio.gather(
            host.ask(ipnat.loaded(where)),
            read_files(where, [self.options.file], host),
            host.ask(smf.services(where, [self.options.service])),
            host.ask(ipadm.forwarding(where)),
        )
        prefix = f"{where}/"
        through = [each.name.removeprefix(prefix) for each in host.recall_all(gateway.subject, "forwarding")]
        held = [each.name.removeprefix(prefix) for each in host.recall_all(gateway.subject, "interface")]
        held += [each.rpartition("/")[0] for each in through]
        service, file = services.get(self.options.service), files[self.options.file]
        return Seen(records, loaded, file, service, forwarding, outer, frozenset(through), frozenset(held), changing)

    def plan(self, gateway: GatewayView, seen: Seen) -> Plan:
        if gateway.zone is None and gateway.name != GLOBAL:
            gone = f"zone {gateway.name} is gone, and its rules with it"
            forgotten = tuple(Forget(record.kind, record.name, gone) for record in seen.records.values())
            return Plan(forgotten) if forgotten else nothing(gone)
        if gateway.trouble:
            return nothing(f"gateway {gateway.name}: {gateway.trouble}")
        found = wanted(gateway, seen.outer, seen.changing)
        if not found.rules and not seen.records:
            return Plan(notes=(*found.notes, Note("nothing", f"gateway {gateway.name} translates nothing")))
        job = _Job(gateway, seen, found, self.options)
        steps: tuple[Step, ...] = (*job.shut(), *job.persist(), *job.enable(), *job.load())
        notes = (*found.notes, *job.notes)
        if steps or notes:
            return Plan(steps, notes)
        return nothing(f"{len(found.rules)} NAT rules of gateway {gateway.name} are loaded")


class _Job:
    """The plan for one gateway, part by part."""

    def __init__(self, gateway: GatewayView, seen: Seen, found: Wanted, options: Nat.Options) -> None:
        self.gateway, self.seen, self.found, self.options = gateway, seen, found, options
        self.where = gateway.where
        self.notes: list[Note] = []
        record = seen.records.get(RULES)
        self.known = record.facts["rules"].splitlines() if record is not None else []
        self.known_links = record.facts["links"].split() if record is not None else []
        self.links = self._links()
        self.going = self._going()
        self.staying = [rule for rule in self.known if rule not in found.have and rule not in set(self.going)]

    def _links(self) -> list[str]:
        """Where packets come in that are translated, and where they leave."""
        declared = self.gateway.gateway
        if declared is None or not declared.ours:
            return []
        inside = [side.link for side in self.gateway.sides if side.role == "inside"]
        return [*inside, *([self.gateway.outer_link] if self.gateway.outer_link else [])]

    def _going(self) -> list[str]:
        """Rules of ours that nobody wants, and that may go: a side that goes must have stopped forwarding before."""
        surplus = [rule for rule in self.known if rule not in self.found.have]
        forwards = {link for (link, _), on in self.seen.forwarding.items() if on}
        leaving = [link for link in self.known_links if link not in self.links and link in forwards & self.seen.held]
        outer = self.gateway.outer_link  # that has lost its address of a family must not let that family out as it is
        bare = [
            f"map {outer} {each} "
            for each in untranslated(self.gateway, outer, self.found.rules)
            if self.seen.forwarding.get((outer, each.version))
        ]
        kept = tuple(bare) if not leaving else ("map ",)
        going = [rule for rule in surplus if not rule.startswith(kept)]
        if leaving or going != surplus:
            text = f"NAT rules stay until {', '.join(leaving or [outer])} forwards no more"
            self.notes.append(Note("waiting", text, "still-forwarding", self.gateway.name, again_after_s=0.2))
        return going

    # -- steps

    def shut(self) -> Iterator[Change]:
        """What was translated and is not now does not leave, however soon it may be again: to load the rules may fail.
        Plugin gateway opens again when it sees them. A range that is new shuts nobody out: its side is not open yet."""
        outer, enabled = self.gateway.outer_link, self.seen.loaded.enabled
        bare = untranslated(self.gateway, outer, self.seen.loaded.rules if enabled else ())
        fresh = untranslated(self.gateway, outer, self.known) if enabled else ()
        families = {each.version for each in bare if each not in fresh}
        if not families:
            return
        mine = [tuple(each.rsplit("/", 1)) for each in sorted(self.seen.let_through)]
        for family in ipadm.FAMILIES:
            links = [link for link, version in mine if version == str(family) and family in families]
            # With the filter on, nothing but the outer side can let anything out.
            for link in [outer] if outer in links else [] if enabled else links:
                if self.seen.forwarding.get((link, family)):
                    why = f"nothing translates in {self.where}: what {link} lets through would leave as it is"
                    yield ipadm.set_forwarding(self.where, link, family, False, why=why)

    def persist(self) -> Iterator[Step]:
        """The file first: should the kernel get its rules from it at the very next moment, they are the right ones."""
        body = ipnat.canonical_file([*self.found.rules, *self.staying])
        text: str | None
        try:
            if body:
                text = marked.with_block(self.seen.file, MARK, body)
            else:
                text = marked.without_block(self.seen.file, MARK) if self.seen.file is not None else None
        except ValueError as problem:
            hint = f"mend the marks of the block in {self.options.file}, or delete the block whole"
            said = f"{self.options.file}: {problem}"
            self.notes.append(Note("refused", said, "broken-block", self.gateway.name, hint))
            return
        if text is None or text == self.seen.file:
            return
        if not text.strip():
            text = "# no rules\n"  # a file of blank lines alone is a syntax error (services sheet 1.5)
        ours_before = RULES in self.seen.records
        yield from self._remember([*self.known, *self.found.rules])
        why = f"{self.options.file} is to have the rules of gateway {self.gateway.name} at the next boot"
        by_us = not ours_before or set(self.known) != set(self.found.rules)  # the wish has changed, not the file
        cause = "missing" if ours_before and self.seen.file is None else "" if by_us else "altered"
        yield with_cause(write_file(self.where, self.options.file, text, why=why), cause)

    def enable(self) -> Iterator[Step]:
        service, enabled = self.seen.service, self.seen.loaded.enabled
        if not self.found.rules:
            if SERVICE in self.seen.records and not self.known:
                why = f"gateway {self.gateway.name} needs no packet filter, and it was we who switched it on"
                if service is not None and not self.seen.loaded.rules:
                    yield smf.disable(self.where, self.options.service, why=why)
                yield Forget(SERVICE, self.seen.records[SERVICE].name, why)
            return
        if enabled:
            return
        why = f"gateway {self.gateway.name} translates, and nothing filters in {self.where}"
        if service is None:
            yield ipf.enable(self.where, why=f"{why}; there is no service {self.options.service}")
        elif service.next_state not in ("", "none") or service.state == "offline":
            text = f"{self.options.service} in {self.where} is {service.state}"
            self.notes.append(Note("waiting", text, GATEWAY_SHUT, self.gateway.name, again_after_s=0.3))
        elif service.state == "maintenance":
            yield smf.clear(self.where, self.options.service, why=f"{why}: it is in maintenance")
        elif service.state == "disabled":
            if SERVICE not in self.seen.records:
                record = Record(SERVICE, f"{self.where}/{self.options.service}", self.gateway.subject, Nat.name, {})
                yield Remember(record, why)
            yield smf.enable(self.where, self.options.service, why=why)
        else:  # it is online, and somebody switched the filter itself off
            yield ipf.enable(self.where, why=why)

    def load(self) -> Iterator[Step]:
        """Additions, then removals. What was switched on in this look is looked at first: it loads the file."""
        if not self.seen.loaded.enabled and self.seen.service is not None:
            return
        loaded = set(self.seen.loaded.rules)
        missing = [rule for rule in self.found.rules if rule not in loaded]
        going = [rule for rule in self.going if rule in loaded]
        if missing:
            yield from self._remember([*self.known, *self.found.rules])
            again = set(missing) & set(self.known)
            why = f"{len(missing)} NAT rules of gateway {self.gateway.name} are not loaded"
            shows = [*missing, *dict.fromkeys(self.found.opens[rule] for rule in missing if rule in self.found.opens)]
            change = ipnat.add(self.where, missing, why=why)
            yield replace(change, shows=tuple(shows), cause="missing" if again else "")
        if going:
            why = f"{len(going)} NAT rules of gateway {self.gateway.name} are wanted no longer"
            change = ipnat.remove(self.where, going, why=why)
            yield replace(change, shows=tuple(f"not {rule}" for rule in going))
        now = [*self.found.rules, *self.staying]
        links = sorted({*self.links, *self.known_links}) if self.staying else self.links
        if now and (now != self.known or links != self.known_links):
            yield from self._remember(now, links)
        elif not now and RULES in self.seen.records:
            yield Forget(RULES, self.seen.records[RULES].name, f"gateway {self.gateway.name} translates nothing")

    def _remember(self, rules: Sequence[str], links: Sequence[str] | None = None) -> Iterator[Remember]:
        every = [*self.known_links, *self.links] if links is None else links
        facts = {"rules": "\n".join(dict.fromkeys(rules)), "links": " ".join(dict.fromkeys(every))}
        record = Record(RULES, self.where, self.gateway.subject, Nat.name, facts)
        if self.seen.records.get(RULES) != record:
            yield Remember(record, f"which NAT rules in {self.where} are ours")


def with_cause(step: Change | WriteFile, cause: str) -> Change | WriteFile:
    """Counted as a repair, where the step can say so."""
    return replace(step, cause=cause)
