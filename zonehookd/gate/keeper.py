"""Which brands have the gate, and that they keep it (zones sheet 5.1, 5.6).

How: in place, by rename, with the packaged bytes, owner, mode and time kept in STATE/brand/NAME/config.xml. libbrand
reads that path and no other. A lofs mount over the file would leave the packaged one alone, but nobody can unlink what
something is mounted on (EBUSY, gate usr/src/uts/common/fs/vnode.c vn_removeat), so updates of the brand's package would
fail; a brand of our own would change every zone.

It is no change for good. The packaging system puts its file there again at an update or `pkg fix`; that is seen by the
next check, and the gate is made anew from the *new* file. Disabling puts back what was there before, to the byte, and
also where somebody has damaged or deleted the file since: no zone of the brand works without it (trap 26).

The kept file is the record: it is written first, and `leaving` beside it says that the gate is to go, so a crash
between any two steps is repaired by the next check. When all of it is lost, the edit itself tells what was there.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import stat
import time
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

from zonehookd.gate.brands import SIZE_MAX_BYTES, BrandRefused, Damaged, asked_at, gated, name_of, ungated
from zonehookd.host.files import Stamp, put_like, read_bounded, stamp, write_atomically

BRANDS = Path("/usr/lib/brand")
_NO_IDS: Mapping[str, int] = MappingProxyType({})
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Happening:
    """What a check did, or could not do."""

    brand: str
    text: str
    good: bool


@dataclass(slots=True)
class _Known:
    """What the last check found. `how`: in place, remade, edited, missing, none."""

    how: str
    text: str = ""
    seen: Stamp | None = None
    kept: Stamp | None = None
    old_hooks: set[str] = field(default_factory=set)


@dataclass(frozen=True, slots=True)
class _Found:
    """A brand's file as it is now. `how`: in place, edited, none; missing: it should have the gate and has not, and
    `text` says what has become of it. `bare`: without the gate; `wanted`: with it, of no worth where there is none."""

    how: str
    text: str
    disk: bytes
    bare: bytes
    wanted: bytes
    like: os.stat_result
    kept: bytes | None


class BrandKeeper:
    """`state`, `run`: [paths]. All of it is small files, read and written at once."""

    def __init__(self, state: Path, run: Path, folder: Path = BRANDS) -> None:
        self._kept = state / "brand"
        self._gate, self._run = str(state.resolve() / "gate"), str(run.resolve())  # the gate follows no link
        self._folder = folder
        self._known: dict[str, _Known] = {}
        self._asking: dict[str, set[tuple[str, int]]] = {}  # brand -> zones with ids that were up at a good check
        for name in {*self.enabled(), *(each.parent.name for each in self._kept.glob("*/old-hooks"))}:
            self._known[name] = _Known("none", old_hooks=self._old_hooks(name))

    # -- asking

    def names(self) -> list[str]:
        """Every brand of this host, and those that were enabled and are gone."""
        there = {each.parent.name for each in self._folder.glob("*/config.xml")}
        return sorted(name for name in {*there, *self._kept_names()} if _NAME.fullmatch(name))

    def enabled(self) -> list[str]:
        return [name for name in self._kept_names() if not self._leaving(name).exists()]

    def known(self, name: str) -> tuple[str, str, Collection[str]]:
        """How the gate stands in it (in place, remade, edited, missing, none), a word about it, and the zones that
        were up when it came or went: zoneadmd goes by the hooks of its own start (trap 26)."""
        known = self._known.get(name, _Known("none"))
        return known.how, known.text, sorted(known.old_hooks)

    def seen(self, name: str) -> tuple[str, str]:
        """How the gate stands in it now, and a word about it, as `known` says it after a check; changes nothing."""
        if self._leaving(name).exists():
            return "none", "it was being disabled; zonehookctl brand disable goes on with it"
        if not self._file(name).parent.is_dir():
            return "missing", "the brand is not installed"
        try:
            with _refused(self._file(name)):
                found = self._find(name)
        except BrandRefused as problem:
            return ("missing", str(problem)) if self._kept_file(name).exists() else ("none", "")
        again = "; the gate is put in again by zonehookd" if found.how == "missing" else ""
        return found.how, f"{found.text}{again}"

    # -- changing

    def _unknown(self, name: str) -> BrandRefused:
        hint = f"there are: {', '.join(self.names()) or 'none'}"
        return BrandRefused(f"there is no brand {name!r}", hint=hint, code="not-found")

    def enable(self, name: str, running: Collection[str]) -> None:
        """Puts the gate in; the program must be there. `running`: zones of this brand that are up. Raises
        BrandRefused; then the file is as it was."""
        if not _NAME.fullmatch(name) or name not in self.names():
            raise self._unknown(name)
        with _refused(self._file(name)):
            disk, bare, like = self._read_brand(name)
            wanted = gated(bare, self._gate, self._run)
            if name_of(bare) != name:
                raise BrandRefused(f"it says that it is brand {name_of(bare)!r}")
            self._leaving(name).unlink(missing_ok=True)
            before = self._read_kept(name)
            if before != bare:
                self._keep(name, bare, like)
            if disk != wanted:
                try:
                    self._put(name, wanted, like)
                except BaseException:
                    if before is None:
                        shutil.rmtree(self._kept / name, ignore_errors=True)
                    raise
                asking = {*self._known_old(name)} if before is None else set()  # from when it had the gate before
                self._forget_old_hooks(name, asking)
                self._note_old_hooks(name, {*running} - asking)
            self._settle(name, "in place")

    def disable(self, name: str, running: Collection[str] = ()) -> str:
        """Takes the gate out. What was done, in words. `running`: zones of this brand that are up, if known. Raises
        BrandRefused; then it is as enabled as before."""
        if not _NAME.fullmatch(name) or name not in self.names():
            raise self._unknown(name)
        with _refused(self._file(name)):
            if self._kept_file(name).exists():
                self._leaving(name).touch(0o600)
            try:
                return self._take_out(name, running)
            except (OSError, ValueError, BrandRefused):
                with contextlib.suppress(OSError):
                    self._leaving(name).unlink(missing_ok=True)
                raise

    def check(self, running: Mapping[str, Collection[str]] | None, ids: Mapping[str, int] = _NO_IDS) -> list[Happening]:
        """Cheap when nothing changed: a `stat` or two per brand. `running`: brand -> zones that are up, if known;
        `ids`: theirs in the kernel. Who had the same at the last good check has the hooks that it had then."""
        happened: list[Happening] = []
        for name in self.names():
            if running is not None:
                self._forget_old_hooks(name, self._known_old(name) - set(running.get(name, ())))
            try:
                with _refused(self._file(name)):
                    up = set((running or {}).get(name, ()))
                    asking = {zone for zone, number in self._asking.get(name, ()) if ids.get(zone) == number}
                    text = self._check(name, up, asking)
                    if self._known.get(name, _Known("none")).how in ("in place", "remade", "edited"):
                        self._asking[name] = {(zone, ids[zone]) for zone in up & ids.keys()}
            except BrandRefused as problem:
                known = self._known.setdefault(name, _Known("none"))
                if self._kept_file(name).exists() and known.text != str(problem):
                    happened.append(Happening(name, str(problem), False))
                    known.how, known.text = "missing", str(problem)
                known.seen = None  # it may come back as it was
                continue
            if text:
                happened.append(Happening(name, text, True))
        return happened

    def heard(self, zone: str) -> None:
        """The gate spoke for this zone: it has the new hooks, if those are the gate's."""
        for name in self._known:
            if zone in self._known_old(name) and name in self.enabled():
                with contextlib.suppress(OSError):
                    self._forget_old_hooks(name, {zone})

    # -- one brand

    def _check(self, name: str, running: set[str], asking: set[str]) -> str:
        """What was put right, if anything was. `asking`: zones that had the gate's hooks, if not those of before."""
        if self._leaving(name).exists():
            return self._take_out(name, running)
        kept_stamp, seen = stamp(self._kept_file(name)), stamp(self._file(name))
        known = self._known.get(name)
        if known is not None and known.seen == seen and known.kept == kept_stamp and seen is not None:
            return ""
        if seen is None and not self._file(name).parent.is_dir():
            self._known[name] = _Known("missing", "the brand is not installed", old_hooks=self._known_old(name))
            return ""
        if kept_stamp is not None:
            for half in self._file(name).parent.glob(f".config.xml.{'?' * 8}"):  # we were killed while we wrote it
                half.unlink()
        found = self._find(name)
        if found.how == "none":
            self._known[name] = _Known("none", found.text, seen, old_hooks=self._known_old(name))
            return ""
        if found.kept is not None and found.how != "missing":
            self._settle(name, found.how, found.text)
            return ""
        self._keep(name, found.bare, found.like)
        if found.disk != found.wanted:
            self._put(name, found.wanted, found.like)
            self._note_old_hooks(name, running - asking)
        if found.kept is None:
            self._settle(name, "in place")
            return "what was there before the gate was not kept any more, and is known from the edit itself"
        when = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        self._settle(name, "remade", f"{found.text}; the gate was made anew at {when}")
        return f"its config.xml {found.text.removeprefix('the file ')}; the gate is in it again"

    def _find(self, name: str) -> _Found:
        """Raises BrandRefused, OSError, ValueError."""
        disk, bare, like = self._read_brand(name)
        kept = self._read_kept(name)
        if kept is None and (disk == bare or asked_at(disk) != self._run):
            text = "" if disk == bare else "another zonehookd's gate is in it"
            return _Found("none", text, disk, bare, disk, like, kept)
        wanted = gated(bare, self._gate, self._run)
        if disk == wanted:
            edited = kept is not None and bare != kept  # not kept: the books were lost, or [paths] state is another
            how, text = ("edited", "somebody else has changed the file besides") if edited else ("in place", "")
        else:
            again = "put back as it was before the gate"
            if bare != kept:
                again = "replaced, as an update of its package does"
            by_us = "made by another version of zonehookd, or with other [paths]"
            what = again if disk == bare else by_us if asked_at(disk) else "edited by somebody else"
            how, text = "missing", f"the file was {what}"
        return _Found(how, text, disk, bare, wanted, like, kept)

    def _take_out(self, name: str, running: Collection[str]) -> str:
        said = "the gate was not in it"
        kept = self._read_kept(name)
        was_in = kept is not None
        try:
            disk, bare, like = self._read_brand(name)
        except Damaged as problem:
            if kept is None:
                raise
            was = f"damaged ({problem.args[0]})" if self._file(name).exists() else "missing"
            said = f"its config.xml was {was}; {self._put_back(name, kept)}"
        else:
            was_in = was_in or bare != disk
            if kept == bare != disk:
                put_like(self._file(name), kept, self._kept_file(name).stat(), times=True)
                said = "its config.xml is as it was before the gate"
            elif bare != disk:
                put_like(self._file(name), bare, like, times=False)
                said = "the gate is out of its config.xml; the rest of it is not known to be as it was before the gate"
        self._kept_file(name).unlink(missing_ok=True)
        self._leaving(name).unlink(missing_ok=True)
        old = self._known_old(name)
        self._known[name] = _Known("none", old_hooks={*running} - old if was_in else old)
        self._write_old_hooks(name)
        return said

    def _put_back(self, name: str, kept: bytes) -> str:
        """What was kept, in place of what is no brand's file any more, or of no file."""
        if not self._file(name).parent.is_dir():
            return "the brand is not installed, so nothing is put back"
        try:
            name_of(kept)
        except BrandRefused as problem:
            hint = "put it back as its package has it (pkg fix), then disable again"
            raise BrandRefused(f"it is damaged, and what was kept of it too: {problem.args[0]}", hint=hint) from problem
        put_like(self._file(name), kept, self._kept_file(name).stat(), times=True)
        return "what was kept of it is back, as it was before the gate"

    def _put(self, name: str, content: bytes, like: os.stat_result) -> None:
        put_like(self._file(name), content, like, times=False)
        if self._read(name)[0] != content:
            raise BrandRefused("what was written does not read back")

    def _settle(self, name: str, how: str, text: str = "") -> None:
        old = self._known_old(name)
        self._known[name] = _Known(how, text, stamp(self._file(name)), stamp(self._kept_file(name)), old)

    # -- files

    def _file(self, name: str) -> Path:
        return self._folder / name / "config.xml"

    def _kept_file(self, name: str) -> Path:
        return self._kept / name / "config.xml"

    def _leaving(self, name: str) -> Path:
        return self._kept / name / "leaving"

    def _kept_names(self) -> list[str]:
        return sorted(each.parent.name for each in self._kept.glob("*/config.xml"))

    def _read_brand(self, name: str) -> tuple[bytes, bytes, os.stat_result]:
        """The file, what it is without the gate, and what it looks like. Raises BrandRefused, of which Damaged says
        the way out; OSError."""
        hint = "put it back as its package has it (pkg fix)"
        if self._kept_file(name).exists():
            hint += f", or as it was before the gate: zonehookctl brand disable {name}"
        try:
            disk, like = self._read(name)
            return disk, ungated(disk), like
        except FileNotFoundError:
            raise Damaged("it is not there", hint=hint) from None
        except Damaged as problem:
            raise Damaged(problem.args[0], hint=hint) from problem

    def _read(self, name: str) -> tuple[bytes, os.stat_result]:
        """Raises BrandRefused, OSError."""
        found = self._file(name).lstat()
        if not stat.S_ISREG(found.st_mode) or found.st_uid != os.geteuid():
            raise BrandRefused("it is not a plain file of root's")
        return read_bounded(self._file(name), SIZE_MAX_BYTES), found

    def _read_kept(self, name: str) -> bytes | None:
        try:
            return read_bounded(self._kept_file(name), SIZE_MAX_BYTES)
        except FileNotFoundError:
            return None

    def _keep(self, name: str, content: bytes, like: os.stat_result) -> None:
        self._kept_file(name).parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        put_like(self._kept_file(name), content, like, times=True)

    # -- zones that go by the hooks of before

    def _known_old(self, name: str) -> set[str]:
        known = self._known.get(name)
        return known.old_hooks if known is not None else set()

    def _old_hooks(self, name: str) -> set[str]:
        with contextlib.suppress(OSError, ValueError):
            return set(read_bounded(self._kept / name / "old-hooks", SIZE_MAX_BYTES).decode().split())
        return set()

    def _note_old_hooks(self, name: str, zones: Iterable[str]) -> None:
        self._known.setdefault(name, _Known("none")).old_hooks.update(zones)
        self._write_old_hooks(name)

    def _forget_old_hooks(self, name: str, zones: set[str]) -> None:
        if zones & self._known_old(name):
            self._known[name].old_hooks -= zones
            self._write_old_hooks(name)

    def _write_old_hooks(self, name: str) -> None:
        zones = sorted(self._known_old(name))
        if zones or self._kept_file(name).exists():
            write_atomically(self._kept / name / "old-hooks", "".join(f"{zone}\n" for zone in zones), 0o600)
        else:
            shutil.rmtree(self._kept / name, ignore_errors=True)


@contextlib.contextmanager
def _refused(file: Path) -> Iterator[None]:
    """Whatever is the matter is said of the file. Raises BrandRefused."""
    try:
        yield
    except BrandRefused as problem:
        raise BrandRefused(f"{file}: {problem.args[0]}", hint=problem.hint) from problem
    except (OSError, ValueError) as problem:
        hint = "on a system whose /usr cannot be written there is no gate" if "ead-only" in str(problem) else ""
        raise BrandRefused(f"{file}: {problem}", hint=hint) from problem
