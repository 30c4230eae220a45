"""What a plugin says of its server, and what it wants of it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from zonehookd.illumos import marked
from zonehookd.model.command import Change, Query
from zonehookd.model.plan import Plan

HEADER = "# Made by zonehookd, which overwrites it: "
PLACE, CONTENT, TOP = "{path}", "{content}", "{top}"
GENERATION = "@generation@"  # in a configuration: the digest by which a running server says what it has read


def _starts_always(_: str) -> bool:
    return True


def _serves_nobody(_: str) -> bool:
    return False


@dataclass(frozen=True, slots=True)
class Setting:
    """The wanted value of an SMF property: its type, such as ``astring``, and its values."""

    type: str
    values: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Reload:
    """How a running server takes a new configuration without letting go of anybody, and how it says that it has.

    `tell`: from a contract, and why, to the command. `runs`: the digest that stands in what it has read, "" where
    nothing of ours answers for certain; or what was said to that already, None: nobody answers. `words`: what it said
    last; None: it says nothing. `leaves`: it can also be told to drop us. `always`: it knows the signal whatever it was
    started with. `hears`: False: it runs, and cannot be told any more. `settle_s`: so long it may take to read it.
    """

    tell: Callable[[int, str], Change]
    runs: Query[str] | str | None
    words: Query[str] | None = None
    leaves: bool = True
    always: bool = False
    hears: bool = True
    settle_s: float = 3.0


@dataclass(frozen=True, slots=True)
class Embed:
    """How a body of ours comes into the main file, and out of it again. Both raise ValueError as `marked` does."""

    put: Callable[[str | None, str, str], str] = marked.with_block  # main, mark, body
    take: Callable[[str, str], str] = marked.without_block


@dataclass(frozen=True, slots=True)
class Server:
    """A service of one zone, and where its configuration lies. ``{path}`` in `include` stands for our file,
    ``{content}`` for what is in it, and ``{top}`` for what is to stand in the main file itself; ``{path}`` in `test`
    for the main file that is tested.

    `wrong`: exit statuses of the test that say that the configuration is at fault. `data`: every file of ours that is
    read again on SIGHUP; none for a server that SIGHUP would end. `package` is named where the service is missing.
    `starts`: whether it can start with such a main file, which has nothing of ours; yes where that is not known.
    `serves`: whether it serves somebody with such a one; no where that is not known.
    `reload` None: what changes is a restart. `beside`: the tested main file must lie beside the real one. `heard`: what
    counts of all that the test said. `tidy`: what a test that was passed leaves to be done, before the server is told.
    """

    name: str
    where: str
    fmri: str
    main: Path
    config: Path
    include: str
    test: tuple[str, ...]
    data: tuple[Path, ...] = ()
    wrong: frozenset[int] = frozenset({1})
    mode: int = 0o644  # of our configuration; the user the service runs as must be able to read it
    package: str = ""
    pace_s: float = 0.5  # a restart and the next lie at least this far apart
    starts: Callable[[str], bool] = _starts_always
    serves: Callable[[str], bool] = _serves_nobody
    reload: Reload | None = None
    embed: Embed = Embed()
    beside: bool = False
    heard: Callable[[str], str] = str
    tidy: Callable[[str], Change] | None = None  # from why to the command

    @property
    def key(self) -> str:
        """The name of its record."""
        return f"{self.where} {self.fmri}"

    @property
    def whole(self) -> bool:
        """All that is ours stands in the main file: there is no file of our own."""
        return CONTENT in self.include

    @property
    def candidate(self) -> Path:
        """Our configuration while it is tested."""
        return self.config.with_name(f"{self.config.name}.candidate")

    @property
    def main_candidate(self) -> Path:
        """The main file that includes it; not beside the real one, for that folder is not ours, unless it must be."""
        beside = self.main if self.beside else self.config
        return beside.with_name(
            f"{beside.name}.zonehookd-candidate" if self.beside else f"{beside.name}.main-candidate"
        )

    def tested(self, main: Path) -> tuple[str, ...]:
        return tuple(word.replace(PLACE, str(main)) for word in self.test)

    def text(self, content: str) -> str:
        """`content` under the line by which a file is known as ours."""
        return f"{HEADER}{self.name} of zone {self.where}\n{content}"

    def with_us(self, main: str | None, config: Path, target: Generation | None = None) -> str:
        """The main file that includes `config`, and has what `target` brings to it itself. Raises ValueError when lines
        of ours in it do not pair, and as `embed` does."""
        there = target or Generation("")
        body = self.include.replace(TOP, there.top).replace(PLACE, str(config)).replace(CONTENT, there.config or "")
        return self.embed.put(main, self.name, body)

    def main_for(self, target: Generation, main: str | None, config: Path) -> str | None:
        """The main file that makes the server read `target`, whose configuration lies at `config`."""
        return self.without_us(main) if target.config is None else self.with_us(main, config, target)

    def without_us(self, main: str | None) -> str | None:
        """The main file as it is without us; None: there is none. Raises ValueError as `with_us`."""
        return None if main is None else self.embed.take(main, self.name)

    def left_in(self, main: str | None) -> bool:
        """The server could start with this main file because of our block only. Where no record of ours is, it was
        left by a former life: its zone was deleted and created over its old files, or our records were lost.

        Raises ValueError as `with_us`.
        """
        without = self.without_us(main)
        return without != main and not self.starts(without or "")


@dataclass(frozen=True, slots=True)
class Generation:
    """What a restart makes the server read: our configuration (None: nothing of ours) and the properties we set.

    `claims`: what only one server of a zone can have. `mark`: the digest that stands in it; two generations with the
    same one differ only in what a running server is told in other ways. `top`: what stands in the main file itself.
    """

    config: str | None = None
    settings: Mapping[str, Setting] = field(default_factory=dict)
    claims: frozenset[str] = frozenset()
    mark: str = ""
    top: str = ""

    @property
    def digest(self) -> str:
        return self.mark or short_hash(self.to_text())

    def to_text(self) -> str:
        settings = {name: [each.type, *each.values] for name, each in self.settings.items()}
        facts = {"config": self.config, "settings": settings, "claims": sorted(self.claims)}
        more = {"mark": self.mark, "top": self.top}
        return json.dumps({**facts, **{key: text for key, text in more.items() if text}}, sort_keys=True)

    @staticmethod
    def from_text(text: str) -> Generation:
        found = json.loads(text)
        settings = {name: Setting(words[0], tuple(words[1:])) for name, words in found["settings"].items()}
        claims = frozenset(found["claims"])
        return Generation(found["config"], settings, claims, found.get("mark", ""), found.get("top", ""))


ABSENT = Generation()


@dataclass(frozen=True, slots=True)
class Wanted:
    """`config`, without a header line; `data`: content by path, of the server's data files; `settings`: SMF properties
    by ``group/name``, read at a restart. `claims`: what no two of our servers in a zone can have at once, such as
    ``dhcp``: this one waits until the other has let go of it. `basis`: what only a reload brings; None: all. `top`:
    what is to stand in the main file itself, where `include` says so."""

    config: str
    data: Mapping[Path, str] = field(default_factory=dict)
    settings: Mapping[str, Setting] = field(default_factory=dict)
    claims: frozenset[str] = frozenset()
    basis: str | None = None
    top: str = ""

    def generation(self, server: Server) -> Generation:
        if server.reload is None:
            return Generation(server.text(self.config), self.settings, self.claims, top=self.top)
        basis = self.config if self.basis is None else self.basis
        mark = Generation(basis, self.settings, self.claims, top=self.top).digest
        config = server.text(self.config.replace(GENERATION, mark))
        return Generation(config, self.settings, self.claims, mark, self.top.replace(GENERATION, mark))

    def files(self, server: Server) -> Mapping[Path, str]:
        """The data files as they are to lie on disk; one that is not given is empty."""
        return {path: server.text(self.data.get(path, "")) for path in server.data}


def digest(files: Mapping[Path, str]) -> str:
    return short_hash(json.dumps({str(path): content for path, content in files.items()}, sort_keys=True))


def short_hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def join(plans: Iterable[Plan]) -> Plan:
    """One plan after the other."""
    every = tuple(plans)
    return Plan(
        tuple(step for plan in every for step in plan.steps), tuple(note for plan in every for note in plan.notes)
    )
