"""From what was seen to steps. Pure. The order of the steps is the point: a crash between any two is mended by the
next look, and what is not known to be good never replaces what is."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from zonehookd.illumos import smf
from zonehookd.illumos.zlogin import GLOBAL, inside
from zonehookd.model.command import Change, Verdict
from zonehookd.model.plan import Forget, Note, Plan, Remember, Step, nothing
from zonehookd.plugin import where as files_of
from zonehookd.plugin.served.book import KIND, Asked, Book
from zonehookd.plugin.served.look import MAINTENANCE, RUNS, Judged, Seen, contract_of
from zonehookd.plugin.served.lost import digest_without_us, found_again, served_nobody, serves_others_now
from zonehookd.plugin.served.refusals import clear_away, foreign_files, no_service, not_installed
from zonehookd.plugin.served.server import ABSENT, Generation, Server, Setting, Wanted, digest

SETTLE_S = 3.0  # an svcadm that was carried out shows within this; else it was never begun (services sheet 3.3)
RETRY_S = 60.0  # between two tries of what did not start, where a try harms nobody
UNSEEN_S = 5.0
RETEST_S = 5.0  # what fails its test fails by what others wrote, as often as not, and nothing says when they mend it
_AGAIN_S = 0.2


def plan(server: Server, wanted: Wanted | None, seen: Seen) -> Plan:
    """Steps, or the reason for none. `wanted` None: nothing of ours is to stay."""
    if seen.unseen:
        text = f"{server.name} of zone {server.where} could not be looked at: {seen.unseen}"
        return Plan(notes=(Note("waiting", text, "unseen", server.fmri, again_after_s=UNSEEN_S),))
    if wanted is None and not seen.book.exists:
        return nothing(f"{server.name}: nothing to serve in zone {server.where}")
    if seen.service is None:
        return no_service(server, wanted, seen)
    foreign = foreign_files(server, wanted, seen)
    if foreign:
        return foreign
    if wanted is not None and seen.tested is not None and seen.tested.missing:
        return not_installed(server)
    return _Planner(server, wanted, seen, seen.service).plan()


@dataclass
class _Planner:
    """One plan being made. `book` is the record as it will be; what differs from the one seen is remembered first."""

    server: Server
    wanted: Wanted | None
    seen: Seen
    service: smf.Service
    book: Book = field(init=False)
    notes: list[Note] = field(default_factory=list)

    def plan(self) -> Plan:
        service, server = self.service, self.server
        self.book = self.seen.book
        if service.next_state or service.state == "uninitialized":
            text = f"{server.name} of zone {server.where} goes from {service.state} to {service.next_state}"
            return self._waits(text, "in-transition", _AGAIN_S)
        waiting = self._look_back()
        if waiting:
            return waiting
        if self.wanted is None and serves_others_now(server, self.seen):
            self.book = replace(self.book, enabled=False)
        gone = self.seen.tested is not None and self.seen.tested.missing
        if self.wanted is None and (self.book.enabled or gone):  # it need not come up with what is left
            self.seen = replace(self.seen, tested=Judged(True))
        target = self._target()
        apply = self._must_apply(target)
        if apply and service.state == "offline":
            text = f"{server.name} of zone {server.where} is offline: something it depends on is missing"
            return self._waits(text, "offline", 5.0, f"svcs -x {server.fmri}")
        for rival, claims in self.seen.rivals.items():
            if apply and claims & target.claims:
                text = f"{server.name} of zone {server.where} waits for {rival} to let go of {', '.join(claims)}"
                return self._waits(text, "taken", _AGAIN_S)
        if apply and self.book.age_s(self.seen.now_s) < server.pace_s:
            pause_s = server.pace_s - self.book.age_s(self.seen.now_s)
            text = f"{server.name} of zone {server.where}: changes are gathered for {server.pace_s:g} s"
            return self._waits(text, "paced", max(pause_s, 0.02))
        if service.state == MAINTENANCE and not apply:
            text = f"{server.name} of zone {server.where} does not come up: {self.seen.said or 'it said nothing'}"
            zone = "" if server.where == GLOBAL else f" -z {server.where}"
            hint = f"mend it, then: svcadm{zone} clear {server.fmri}"
            self.notes.append(Note("refused", text, MAINTENANCE, server.fmri, hint))
        steps = self._install(target) if apply else self._keep(target)
        if target.config is None and not apply:
            steps += self._leave()
        if self.book != self.seen.book and not any(isinstance(step, Remember | Forget) for step in steps):
            steps = [self._remember(f"{server.name} of zone {server.where}: what it was seen to do"), *steps]
        if not steps and not self.notes:
            return nothing(f"{server.name} of zone {server.where} serves as wanted")
        return Plan(tuple(steps), tuple(self.notes))

    # -- what became of what we asked for

    def _look_back(self) -> Plan | None:
        """Settle what was asked for before; a Plan when it is too early to tell."""
        book, service = self.book, self.service
        asked = book.asked
        if asked is None:
            if self.server.reload is not None and service.state in RUNS:
                return self._look_at_heir()
            if service.state in RUNS:
                if book.contract != contract_of(service) and not self._wrong(book.loaded):
                    self.book = replace(book, contract=contract_of(service))  # somebody else restarted it
                if book.loaded.digest in book.bad:  # and it came up after all
                    self.book = self.book.without_bad(book.loaded)
            return None
        age_s = book.age_s(self.seen.now_s)
        if self.server.reload is not None and service.state in RUNS:
            return self._look_whether_read(asked, age_s)
        if service.state in RUNS and contract_of(service) != asked.contract:
            self.book = book.works(contract_of(service))
        elif service.state == "disabled" and asked.what.config is None:
            self.book = book.works("")
        elif service.state == MAINTENANCE and (asked.state != MAINTENANCE or age_s >= SETTLE_S):
            self.book = book.fails(self.seen.said or "it did not start, and said nothing")
        elif age_s < SETTLE_S:
            text = f"{self.server.name} of zone {self.server.where} was told, and is still {service.state}"
            return self._waits(text, "asked", _AGAIN_S)
        else:
            self.book = replace(book, asked=None)
        return None

    def _look_whether_read(self, asked: Asked, age_s: float) -> Plan | None:
        """A server that reloads says itself what it has read."""
        contract, runs, reload = contract_of(self.service), self.seen.runs, self.server.reload
        assert reload is not None
        left = asked.what.config is None and not reload.leaves and contract != asked.contract  # nobody answers for us
        if left or (reload.hears and runs == (asked.what.digest if asked.what.config is not None else "")):
            self.book = self.book.works(contract)
        elif age_s < reload.settle_s:
            return self._waits(f"{self.server.name} of zone {self.server.where} has not read it yet", "asked", _AGAIN_S)
        elif self.seen.said or self.book.silent == asked.what.digest:
            self.book = self.book.fails(self.seen.said or "it goes on with what it had, and said nothing")
        else:
            self.book = replace(self.book, asked=None, silent=asked.what.digest)  # told once more
        return None

    def _look_at_heir(self) -> Plan | None:
        """Nothing was asked for. One that somebody else started has read what lies there, and will say so in time."""
        book, contract = self.book, contract_of(self.service)
        if book.good is None:
            wish = self._wish
            if self.wanted is not None and self.seen.runs == wish.digest and not self._wrong(wish):
                self.book = found_again(self.server, wish, self.seen)
            return None
        if book.contract == contract or self._wrong(book.good):
            return None
        if self.seen.runs == book.good.digest:
            self.book = replace(book, contract=contract).without_bad(book.good)
            return None
        asked = Asked(book.good, book.data, book.contract, self.service.state)
        self.book = replace(book, asked=asked, asked_s=self.seen.now_s)
        text = f"{self.server.name} of zone {self.server.where} was started by somebody, and does not answer yet"
        return self._waits(text, "asked", _AGAIN_S)

    # -- what is to be there

    @property
    def _wish(self) -> Generation:
        return ABSENT if self.wanted is None else self.wanted.generation(self.server)

    def _target(self) -> Generation:
        """What is wanted, unless it is known not to work: then what worked before."""
        target = self._wish
        again_s = None
        if self.book.bad and self.book.wanted not in ("", target.digest):
            # What it did not come up with may have lacked what the other wish took away, such as an interface.
            self.book = replace(self.book, wanted=target.digest, bad={})
        said = self.book.bad.get(target.digest, "")
        if said and self._nothing_to_lose():
            if self.book.age_s(self.seen.now_s) >= RETRY_S:
                self.book = replace(self.book, bad={})
                return target
            again_s = RETRY_S - self.book.age_s(self.seen.now_s)
        if not said and self.seen.tested is not None and not self.seen.tested.fit:
            said = self.seen.tested.said
            again_s = RETEST_S if self.server.reload is not None else None
        if not said:
            return target
        kept = "what it had before stays" if self.book.loaded.config is not None else "nothing is served by it"
        text = f"{self.server.name} of zone {self.server.where} does not take its configuration, {kept}: {said}"
        hint = "see the option, name or file it speaks of; tried again when the configuration changes"
        self.notes.append(Note("refused", text, "bad-config", self.server.fmri, hint, again_s))
        return self.book.loaded

    def _nothing_to_lose(self) -> bool:
        """What stopped it may have gone away by itself; and it serves nobody without us, and nothing of ours, or it is
        a running server that only reloads, and keeps what it has when that fails."""
        if self.server.reload is not None and self.service.state in RUNS and self.server.reload.hears:
            return True
        return self.book.enabled and (self.book.loaded.config is None or self.service.state == MAINTENANCE)

    def _wrong(self, target: Generation) -> bool:
        """Files or properties differ from `target`."""
        seen, server = self.seen, self.server
        ours = None if server.whole else target.config
        if seen.files[server.config] != ours or seen.files[server.main] != self._main(target):
            return True
        return any(_values(seen.settings.get(name)) != each for name, each in self._settings(target).items())

    def _main(self, target: Generation) -> str | None:
        server, main = self.server, self.seen.files[self.server.main]
        if target.config is not None:
            return server.with_us(main, server.config, target)
        without = server.without_us(main)
        return None if self.book.made_main and not (without or "").strip() else without

    def _settings(self, target: Generation) -> Mapping[str, Setting]:
        """Wanted ones, and former values for those that are no longer wanted."""
        former = {name: each or Setting("astring", ()) for name, each in self.book.before.items()}
        return {**former, **target.settings}

    def _must_apply(self, target: Generation) -> bool:
        """The server must be told: it runs with something else, or does not run."""
        book, state = self.book, self.service.state
        given_up = target.digest in book.bad
        if state == MAINTENANCE and not given_up and (self.wanted is not None or book.loaded != ABSENT):
            return True
        if state == "disabled":
            return target.config is not None
        if self.server.reload is not None and state in RUNS and not self.server.reload.hears:
            return True
        if self.server.reload is not None and state in RUNS and self.seen.runs is not None:
            return self.seen.runs != (target.digest if target.config is not None else "") and not given_up
        if book.loaded.digest != target.digest:
            return not given_up
        return state in RUNS and book.contract != contract_of(self.service) and self._wrong(target)

    # -- steps

    def _install(self, target: Generation) -> list[Step]:
        """Test, remember, swap, tell: in this order. Candidates that lie there after a crash go with the next look."""
        server, seen, service, book = self.server, self.seen, self.service, self.book
        why = f"{server.name} of zone {server.where}: " + (
            "its configuration changed" if target.config is not None else "nothing of ours is wanted any more"
        )
        tests = [] if self._tested(target) else [*self._test(target, why)]
        steps: list[Step] = [*tests]
        files = self.wanted.files(server) if self.wanted is not None else {}
        asked = Asked(target, digest(files), contract_of(service), service.state)
        main = seen.files[server.main]
        left = not book.exists and server.left_in(main)  # then what it listens to now was set by us, too
        before = {
            name: book.before[name] if name in book.before else None if left else _values(seen.settings.get(name))
            for name in {*book.before, *target.settings}
        }
        blank = main is None or (left and not (server.without_us(main) or "").strip())
        made_main = book.made_main if book.exists else blank
        enabled = book.enabled or (target.config is not None and book.good is None and served_nobody(server, seen))
        former = book.former or (digest_without_us(server, seen) if enabled else "")
        self.book = replace(book, asked=asked, asked_s=seen.now_s, wanted=self._wish.digest, enabled=enabled,
                            former=former, made_main=made_main, before=before)  # fmt: skip
        steps.append(self._remember(why))
        steps += self._swap(target, why)
        steps += self._data(files, why)
        steps += self._tell(target, why)
        steps += self._drop_candidates(bool(tests), f"{why}, and was tested")  # nobody waits for that
        return steps

    def _tested(self, target: Generation) -> bool:
        """Its test has passed, or is of no use: what is to be there again after a failure was there before."""
        if self.seen.tested is not None and self.seen.tested.fit:
            return True
        return self.service.state == MAINTENANCE and target.digest in (self.book.loaded.digest, ABSENT.digest)

    def _test(self, target: Generation, why: str) -> Iterator[Step]:
        """Left to lie when the test fails: that is how the next look knows of it."""
        server, where = self.server, self.server.where
        main = self.seen.files[server.main]
        if target.config is not None and not server.whole:
            text = f"{why}: to be tested before it replaces anything"
            yield files_of.write_file(where, server.candidate, target.config, 0o600, why=text)
        text = server.main_for(target, main, server.candidate) or ""
        yield files_of.write_file(where, server.main_candidate, text, 0o600, why=f"{why}: to be tested")
        yield Change(
            inside(where, server.tested(server.main_candidate)), f"{why}: its own test", judge=lambda *_: Verdict(True)
        )
        if server.tidy is not None:
            yield server.tidy(why)

    def _drop_candidates(self, made: bool, why: str) -> Iterator[Step]:
        server = self.server
        for path in (server.candidate, server.main_candidate):
            if (made and not (server.whole and path == server.candidate)) or self.seen.files[path] is not None:
                yield files_of.remove_file(self.server.where, path, why=why)

    def _swap(self, target: Generation, why: str) -> Iterator[Step]:
        """Our file before the line that includes it, and after that line is gone; then properties."""
        server, seen = self.server, self.seen
        main = self._main(target)
        if target.config is not None and not server.whole and seen.files[server.config] != target.config:
            yield self._write(server.config, target.config, target, why, server.mode)
        if seen.files[server.main] != main:
            if main is None:
                yield files_of.remove_file(server.where, server.main, why=f"{why}, and there was none before us")
            else:
                yield self._write(server.main, main, target, f"{why}: one block in it is ours", None)
        if target.config is None and seen.files[server.config] is not None:
            yield files_of.remove_file(server.where, server.config, why=why)
        settings = self._settings(target)
        for name, each in settings.items():
            if _values(seen.settings.get(name)) != each:
                yield smf.set_property(server.where, server.fmri, name, each.type, each.values, why=why)
        if settings:
            yield smf.refresh(server.where, server.fmri, why=f"{why}: it sees properties after a refresh only")

    def _tell(self, target: Generation, why: str) -> Iterator[Change]:
        server, state = self.server, self.service.state
        if target.config is None and self.book.enabled:
            yield smf.disable(server.where, server.fmri, why=f"{why}, and without us it serves nobody")
        elif state == MAINTENANCE:
            yield smf.clear(server.where, server.fmri, why=why)
        elif state == "disabled":
            cause = "missing" if self.book.loaded.digest == target.digest else ""
            yield replace(smf.enable(server.where, server.fmri, why=f"{why}, and it is disabled"), cause=cause)
        elif state in RUNS:
            reload, contract = server.reload, self.service.contract
            # Else it would not know the signal; who has read anything of ours knows it, whatever our books say.
            known = bool(self.seen.runs) or (contract is not None and self.book.contract == str(contract))
            told = reload is not None and (known or reload.always) and (target.config is not None or reload.leaves)
            if reload is not None and contract is not None and told and reload.hears:
                yield reload.tell(contract, why)
            else:
                yield smf.restart(server.where, server.fmri, why=why)

    def _keep(self, target: Generation) -> list[Step]:
        """It runs with the right thing: put right what lies on disk, and tell it of data that changed."""
        server, seen = self.server, self.seen
        steps: list[Step] = []
        if target.config is not None and self.book.good is not None and self.book.good.config != target.config:
            steps += self._rewrite(target)
        elif self._wrong(target):
            steps += self._swap(target, f"{server.name} of zone {server.where}: somebody changed it")
        fit = target.config is not None and target.digest not in self.book.bad
        if fit and not (seen.tested and not seen.tested.fit):
            steps += self._drop_candidates(False, "it was tested, and is in its place")
        if self.wanted is None or target.config is None:
            return steps
        files = self.wanted.files(server)
        why = f"{server.name} of zone {server.where}: its data changed"
        writes = [*self._data(files, why)]
        steps += writes
        if self.service.state in RUNS and (writes or self.book.data != digest(files)):
            if server.data and self.service.contract is not None:
                steps.append(smf.hangup(server.where, self.service.contract, why=why))
            self.book = replace(self.book, data=digest(files))
            steps.append(self._remember(f"{server.name} of zone {server.where} has read its data"))
        return steps

    def _rewrite(self, target: Generation) -> Iterator[Step]:
        """What it runs with is told to it in other ways; what lies there is what it begins with the next time."""
        why = f"{self.server.name} of zone {self.server.where}: what it starts with changed"
        tests = [] if self.seen.tested is not None and self.seen.tested.fit else [*self._test(target, why)]
        yield from tests
        yield from self._swap(target, why)
        self.book = replace(self.book, good=target)
        yield self._remember(why)
        yield from self._drop_candidates(bool(tests), f"{why}, and was tested")

    def _data(self, files: Mapping[Path, str], why: str) -> Iterator[Step]:
        """Data files that differ. Those our books say it has read were right before: then it is a repair."""
        known = self.book.data == digest(files)
        for path, content in files.items():
            seen = self.seen.files[path]
            if seen != content:
                cause = "" if not known else "missing" if seen is None else "altered"
                step = files_of.write_file(self.server.where, path, content, why=why)
                yield replace(step, cause=cause)

    def _leave(self) -> list[Step]:
        """Nothing of ours is in use any more."""
        if self.wanted is not None:
            return []
        why = f"{self.server.name} of zone {self.server.where}: nothing of ours is wanted any more"
        return [*clear_away(self.server, self.seen, why), Forget(KIND, self.server.key, why)]

    def _write(self, path: Path, content: str, target: Generation, why: str, mode: int | None) -> Step:
        step = files_of.write_file(self.server.where, path, content, mode, why=why)
        if self.book.loaded.digest == target.digest:
            return replace(step, cause="missing" if self.seen.files[path] is None else "altered")
        return step

    def _remember(self, why: str) -> Remember:
        return Remember(self.book.to_record(self.server, self.seen.subject, self.seen.plugin), why)

    def _waits(self, text: str, code: str, again_s: float, hint: str = "") -> Plan:
        self.notes.append(Note("waiting", text, code, self.server.fmri, hint, again_s))
        steps = (self._remember(text),) if self.book != self.seen.book else ()
        return Plan(steps, tuple(self.notes))


def _values(found: smf.Property | None) -> Setting | None:
    return Setting(found.type, found.values) if found is not None else None
