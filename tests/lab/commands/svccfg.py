"""svccfg(8): the repository, by hand [services 3.5]."""

from __future__ import annotations

import fnmatch
from collections.abc import Callable
from pathlib import Path

from lab.call import Call, Exit
from lab.getopt import getopt
from lab.smf import console, importing
from lab.smf import fmri as names
from lab.smf import repository as repo
from lab.smf.delivered import is_scenery
from lab.smf.instance import Instance
from lab.smf.manifest import Bundle, Invalid, parse
from lab.smf.repository import Entity, Group, Groups
from lab.smf.svccfg_words import SyntaxTrouble, assignment, tokens
from lab.smf.values import TYPES, Property, astring, valid
from lab.world import NotEmulated, Refused

USAGE = """\
Usage:\tsvccfg [-v] [-s FMRI] [-f file]
\tsvccfg [-v] [-s FMRI] <command> [args]
"""
_LEAVING = ("exit", "quit", "end")


class Svccfg:
    """One run; the lock is held during each subcommand."""

    def __init__(self, call: Call) -> None:
        self.call = call
        self.known = console.restarter(call)
        self.selected: Entity | None = None
        self.place = ""  # FILE, line N: of a command file
        self._words: dict[str, Callable[[list[str]], None]] = {
            "select": self._select, "unselect": self._unselect, "setprop": self._setprop, "addpg": self._addpg,
            "delpg": self._delpg, "addpropvalue": self._addpropvalue, "delpropvalue": self._delpropvalue,
            "delprop": self._delprop, "listpg": self._listpg, "listprop": self._listprop, "setenv": self._setenv,
            "unsetenv": self._unsetenv, "refresh": self._refresh, "import": self._import, "validate": self._validate,
            "inventory": self._inventory, "delete": self._delete, "list": self._list, "listsnap": self._listsnap,
        }  # fmt: skip

    def die(self, text: str) -> None:
        """Nothing of a command file after its first error is carried out."""
        self.call.err(f"svccfg{f' ({self.place})' if self.place else ''}: {text}\n")
        raise Exit(1)

    def line(self, text: str) -> None:
        try:
            words = tokens(text)
            if not words:
                return
            if words[0] not in self._words:
                raise NotEmulated(f"svccfg {words[0]}")
            with self.known.changed:
                self._words[words[0]](words[1:])
        except SyntaxTrouble:
            self.die("Syntax error.")
        self.known.pump()

    # selecting ----------------------------------------------------------------------------------------------------

    def _select(self, words: list[str]) -> None:
        name = self._one(words)
        repository = self.known.repository
        exact = repository.entities.get(name) or repository.entities.get(names.join(*names.split(name)))
        inside = self.selected is not None and f"{names.join(self.selected.service)}:{name}"
        if exact is None and inside:
            exact = repository.entities.get(str(inside))
        hits = [exact] if exact else [instance.entity for instance in self.known.find(name)]
        services = {hit.service for hit in hits}
        if not hits:
            self.die(f"Pattern '{name}' doesn't match any instances or services")
        if len(hits) > 1 and (len(services) > 1 or ":" in name):
            listed = "".join(f"\n\t{hit.fmri}" for hit in hits)
            self.die(f"Pattern '{name}' matches multiple instances:{listed}")
        service = repository.entities.get(names.join(hits[0].service))
        by_service = exact is None and ":" not in name and service is not None
        self.selected = service if by_service else hits[0]

    def _unselect(self, words: list[str]) -> None:
        if self.selected is None:
            self.die("Cannot unselect at scope level.")
        assert self.selected is not None
        self.selected = self.known.repository.service_of(self.selected) if self.selected.instance else None

    def _one(self, words: list[str]) -> str:
        if len(words) != 1:
            raise SyntaxTrouble
        return words[0]

    def entity(self) -> Entity:
        if self.selected is None:
            self.die("An entity must be selected.")
        assert self.selected is not None
        return self.selected

    def changing(self) -> Entity:
        """The selected entity, if it may be changed."""
        entity = self.entity()
        self.may(entity.fmri)
        if is_scenery(entity.groups):
            raise NotEmulated(f"svccfg changing {entity.fmri}: it is scenery here")
        return entity

    def may(self, what: str) -> None:
        if not self.call.privileged:
            self.die("Permission denied.")
        try:
            self.call.operate()
        except Refused as fault:
            self.die(f"{what}: {fault.status}.")
        self.call.half_way()

    # properties ---------------------------------------------------------------------------------------------------

    def _named(self, name: str) -> tuple[str, str]:
        group, slash, key = name.partition("/")
        if not (group and slash and key):
            raise SyntaxTrouble
        return group, key

    def _group(self, entity: Entity, name: str) -> Group:
        """The entity's own. What its service has is laid over only by a group that was added first: `svccfg setprop` of
        an instance asks that instance alone (gate svccfg_libscf.c lscf_setprop)."""
        group = self.known.repository.group(entity, name)
        if group is None:
            self.die(f'No such property group "{name}".')
        assert group is not None
        return group

    def _setprop(self, words: list[str]) -> None:
        name, kind, values = assignment(words)
        entity = self.changing()
        group, key = self._named(name)
        self._put(entity, group, key, self._property(entity, group, key, kind, values))

    def _property(self, entity: Entity, group: str, key: str, kind: str | None, values: list[str]) -> Property:
        found = self._group(entity, group).properties.get(key)
        if found is None and entity.instance:
            found = self.known.repository.compose(entity).get(group, Group("")).properties.get(key)
        if kind is None:
            if found is None:
                self.die("Type required for new properties.")
            assert found is not None
            kind = found.type
        if kind not in TYPES:
            self.die(f'Unknown type "{kind}".')
        for value in values:
            if not valid(kind, value):
                self.die(f'Invalid "{kind}" value "{value}".')
        shown = [{"0": "false", "1": "true"}.get(value, value) for value in values] if kind == "boolean" else values
        return Property(kind, tuple(shown))

    def _put(self, entity: Entity, group: str, key: str, value: Property | None) -> None:
        self.known.repository.put(entity, group, key, value)
        if (group, key) == (repo.GENERAL, "enabled") and entity.instance:
            self.known.post(self.known.instances[entity.fmri], "check")  # immediate [services 3.3]

    def _addpropvalue(self, words: list[str]) -> None:
        if len(words) not in (2, 3):
            raise SyntaxTrouble
        entity = self.changing()
        group, key = self._named(words[0])
        kind = words[1].removesuffix(":") if len(words) == 3 else None
        found = self._group(entity, group).properties.get(key)
        made = self._property(entity, group, key, kind, [*(found.values if found else ()), words[-1]])
        self._put(entity, group, key, made)

    def _delpropvalue(self, words: list[str]) -> None:
        if len(words) != 2:
            raise SyntaxTrouble
        entity = self.changing()
        group, key = self._named(words[0])
        found = self._existing(entity, group, key)
        kept = tuple(value for value in found.values if not fnmatch.fnmatchcase(value, words[1]))
        self._put(entity, group, key, Property(found.type, kept))

    def _existing(self, entity: Entity, group: str, key: str) -> Property:
        found = self._group(entity, group).properties.get(key)
        if found is None:
            self.die(f"No such property {group}/{key}.")
        assert found is not None
        return found

    def _delprop(self, words: list[str]) -> None:
        entity = self.changing()
        name = self._one(words)
        if "/" not in name:
            self._delpg(words)
            return
        group, key = self._named(name)
        self._existing(entity, group, key)
        self._put(entity, group, key, None)

    def _addpg(self, words: list[str]) -> None:
        if len(words) not in (2, 3):
            raise SyntaxTrouble
        entity = self.changing()
        if words[0] in entity.groups:
            self.die(f'Property group "{words[0]}" already exists.')
        self.known.repository.group(entity, words[0], words[1])
        self.known.repository.changed(entity, words[0])

    def _delpg(self, words: list[str]) -> None:
        entity = self.changing()
        name = self._one(words)
        if name not in entity.groups:
            self.die(f'No such property group "{name}".')
        del entity.groups[name]
        self.known.repository.changed(entity, name)

    def _setenv(self, words: list[str]) -> None:
        """Into the start method; with ``-m METHOD`` into another, with ``-s`` and ``-i`` not emulated."""
        method, rest = self._method_option(words)
        if len(rest) == 3 and rest[1] == "=":
            rest = [rest[0], rest[2]]
        if len(rest) != 2:
            raise SyntaxTrouble
        self._environment(method, rest[0], f"{rest[0]}={rest[1]}")

    def _unsetenv(self, words: list[str]) -> None:
        method, rest = self._method_option(words)
        self._environment(method, self._one(rest), None)

    def _method_option(self, words: list[str]) -> tuple[str, list[str]]:
        if words[:1] == ["-m"]:
            return words[1], words[2:]
        if words and words[0].startswith("-"):
            raise NotEmulated(f"svccfg setenv {words[0]}")
        return "start", words

    def _environment(self, method: str, name: str, assigned: str | None) -> None:
        entity = self.changing()
        if entity.instance and method not in entity.groups:
            raise NotEmulated(f"svccfg setenv of an instance whose service has the method {method}")
        found = self._group(entity, method).properties.get("environment", astring())
        kept = [each for each in found.values if each.partition("=")[0] != name]
        self._put(entity, method, "environment", astring(*kept, *([assigned] if assigned else [])))

    # looking ------------------------------------------------------------------------------------------------------

    def _shown(self) -> Groups:
        entity = self.entity()
        groups = dict(entity.groups)
        if entity.instance:
            groups[repo.RESTARTER] = self.known.instances[entity.fmri].group()
        return groups

    def _table(self, rows: list[tuple[str, ...]]) -> None:
        widths = [max((len(row[at]) for row in rows if at < len(row)), default=0) for at in range(3)]
        for row in rows:
            self.call.out(
                "  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=False)).rstrip() + "\n"
            )

    def _listpg(self, words: list[str]) -> None:
        pattern = words[0] if words else "*"
        self._table([(name, group.type) for name, group in self._shown().items() if fnmatch.fnmatch(name, pattern)])

    def _listprop(self, words: list[str]) -> None:
        pattern = words[0] if words else "*"
        rows: list[tuple[str, ...]] = []
        for name, group in self._shown().items():
            if fnmatch.fnmatch(name, pattern):
                rows.append((name, group.type))
            for key, value in group.properties.items():
                if fnmatch.fnmatch(f"{name}/{key}", pattern):
                    rows.append((f"{name}/{key}", value.type, value.shown()))
        self._table(rows)

    def _list(self, words: list[str]) -> None:
        entities = self.known.repository.entities.values()
        if self.selected is None:
            found = [entity.service for entity in entities if not entity.instance]
        else:
            found = [each.instance for each in entities if each.instance and each.service == self.selected.service]
        self.call.out("".join(f"{name}\n" for name in sorted(found)))

    def _listsnap(self, words: list[str]) -> None:
        if not self.entity().instance:
            self.die("An instance must be selected.")
        self.call.out("initial\nrunning\nstart\n")

    # the rest -----------------------------------------------------------------------------------------------------

    def _refresh(self, words: list[str]) -> None:
        entity = self.changing()
        if not entity.instance:
            raise NotEmulated("svccfg refresh of a service: name the instance")
        instance: Instance = self.known.instances[entity.fmri]
        self.known.refreshed(instance)
        self.known.post(instance, "refresh")

    def _file(self, words: list[str]) -> Path:
        return located(self.call, self.known.path, self._one(words))

    def _bundle(self, words: list[str]) -> Bundle:
        file = self._file(words)
        if not file.is_file():
            self.die(f'"{words[0]}": No such file or directory')
        try:
            return parse(file.read_bytes())
        except Invalid as problem:
            self.die(f"{problem}")
            raise

    def _validate(self, words: list[str]) -> None:
        self._bundle(words)

    def _inventory(self, words: list[str]) -> None:
        entities = self._bundle(words).entities
        ordered = sorted(entities, key=lambda name: (names.split(name)[0], not names.split(name)[1], name))
        self.call.out("".join(f"{name}\n" for name in ordered))

    def _import(self, words: list[str]) -> None:
        bundle = self._bundle(words)
        self.may(words[0])
        importing.bring_in(self.known, bundle)

    def _delete(self, words: list[str]) -> None:
        by_force = words[:1] == ["-f"]
        operand = self._one(words[1:] if by_force else words)
        fmri = names.join(*names.split(operand))
        if fmri not in self.known.repository.entities:
            self.die(f"Pattern '{operand}' doesn't match any instances or services")
        self.may(fmri)
        importing.take_away(self.known, fmri, by_force)
        self.selected = None


def located(call: Call, path: Callable[[str], Path], name: str) -> Path:
    """A file the caller names, seen from the lab."""
    return path(name if name.startswith("/") else f"{call.cwd}/{name}")


def main(call: Call) -> int:
    options, operands = getopt(call.argv[1:], "vs:f:")
    letters = {option.letter: option.value for option in options}
    if "?" in letters or ("f" in letters and operands):
        call.err(USAGE)
        return 2
    svccfg = Svccfg(call)
    if "s" in letters:
        svccfg.line(f"select {letters['s']}")
    if operands:
        svccfg.line(" ".join(operands))
        return 0
    name = letters.get("f", "-")
    if name == "-" and call.stdin_tty:
        raise NotEmulated("svccfg at a terminal")
    text = call.stdin.read() if name == "-" else located(call, svccfg.known.path, name).read_bytes()
    for number, line in enumerate(text.decode().splitlines(), start=1):
        if line.strip() in _LEAVING:
            break
        svccfg.place = f"{name}, line {number}" if name != "-" else ""
        svccfg.line(line)
    return 0
