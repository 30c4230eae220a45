"""svcadm(8): asks the restarter for something; without ``-s`` it does not wait for it [services 3.3]."""

from __future__ import annotations

from collections.abc import Callable

from lab.call import Call, Exit
from lab.getopt import getopt
from lab.smf import console
from lab.smf import repository as repo
from lab.smf.delivered import is_scenery
from lab.smf.instance import UP, Instance, State
from lab.smf.restarter import Restarter
from lab.smf.values import astring, boolean
from lab.world import NotEmulated, Refused

USAGE = """\
Usage: svcadm [-S <state>] [-v] [-Z | -z zone] [cmd [args ... ]]

\tsvcadm enable [-rst] [<service> ...]\t- enable and online service(s)
\tsvcadm disable [-c comment] [-st] [<service> ...]\t- disable and offline service(s)
\tsvcadm restart [-d] [<service> ...]\t- restart specified service(s)
\tsvcadm refresh [<service> ...]\t\t- re-read service configuration
\tsvcadm mark [-It] <state> [<service> ...] - set maintenance state
\tsvcadm clear [<service> ...]\t\t- clear maintenance state
\tsvcadm milestone [-d] <milestone>\t- advance to a service milestone
"""
_LOOK_SECONDS = 0.5  # how often a waiting svcadm looks whether its caller is still there
_IN_MAINTENANCE, _UNSATISFIED = 3, 4


class Svcadm:
    def __init__(self, call: Call) -> None:
        self.call = call
        options, operands = getopt(call.argv[1:], "S:vZz:")
        letters = {option.letter: option.value for option in options}
        if "?" in letters or not operands:
            self.usage()
        for letter in sorted(letters.keys() & set("SZ")):
            raise NotEmulated(f"svcadm -{letter}")
        self.verbose = "v" in letters
        self.word, self.arguments = operands[0], operands[1:]
        self.zone = letters.get("z")
        self.known: Restarter

    def usage(self) -> None:
        self.call.err(USAGE)
        raise Exit(2)

    def parse(self, optstring: str) -> tuple[dict[str, str], list[str]]:
        options, operands = getopt(self.arguments, optstring)
        letters = {option.letter: option.value for option in options}
        if "?" in letters or not operands:
            self.usage()
        return letters, operands

    def targets(self, operands: list[str]) -> tuple[list[Instance], int]:
        """Instances that may be changed; complaints have been made. Raises `Exit` when none is left."""
        self.known = console.restarter(self.call, self.zone)
        with self.known.changed:
            found, status = console.matching(self.call, self.known, operands, only_one=True)
            for instance in found:
                if is_scenery(instance.entity.running):
                    raise NotEmulated(f"svcadm {self.word} of {instance.fmri}: it is scenery here")
        return found, status

    def die(self, message: str, status: int = 1) -> None:
        self.call.err(f"svcadm: {message}\n")
        raise Exit(status)

    def operate(self, instance: Instance) -> None:
        try:
            self.call.operate()
        except Refused as fault:
            self.die(f"{instance.fmri}: {fault.status}.")

    def say(self, text: str) -> None:
        if self.verbose:
            self.call.out(f"{text}\n")

    # enable and disable -------------------------------------------------------------------------------------------

    def set_enabled(self, on: bool) -> int:
        options, operands = self.parse("rst" if on else "c:st")
        found, status = self.targets(operands)
        if "r" in options:
            found = self._with_dependencies(found)
        temporary = "t" in options
        for instance in found:
            if not self.call.privileged:
                self.die(f'{instance.fmri}: Couldn\'t modify "general" property group (permission denied).')
            self.operate(instance)
            with self.known.changed:
                _write_enabled(instance, on, temporary, options.get("c"))
                self.known.post(instance, "check")
            self.call.half_way()
            self.say(f"{instance.fmri} {'temporarily ' if temporary else ''}{'enabled' if on else 'disabled'}.")
        self.known.pump()
        if "s" in options:
            status = max([status, *(self._wait(instance, on) for instance in found)])
        return status

    def _with_dependencies(self, found: list[Instance]) -> list[Instance]:
        """`-r`: first what they need [services 3.3]."""
        ordered: dict[str, Instance] = {}

        def visit(instance: Instance) -> None:
            if instance.fmri in ordered or is_scenery(instance.entity.running):
                return
            for grouping, _, kind, cited in self.known.dependencies(instance):
                if grouping == "require_all" and kind == "service":
                    for entity in cited:
                        for each in self.known.find(entity):
                            visit(each)
            ordered[instance.fmri] = instance

        with self.known.changed:
            for instance in found:
                visit(instance)
        return list(ordered.values())

    def _wait(self, instance: Instance, on: bool) -> int:
        """`-s`: until it is there, or will not get there by itself."""
        with self.known.changed:
            while True:
                settled = not instance.working or instance.next_state is State.NONE
                if instance.enabled() is not on:
                    return self._complain(instance, "has been disabled by another entity", _IN_MAINTENANCE)
                if not instance.events and settled:
                    if instance.state is State.MAINTENANCE:
                        return self._complain(instance, "is in maintenance state", _IN_MAINTENANCE)
                    if instance.state in UP if on else instance.state is State.DISABLED:
                        return 0
                    if on and instance.state is State.OFFLINE and self.known.hopeless(instance):
                        return self._complain(instance, "has unsatisfied dependencies", _UNSATISFIED)
                if instance.stopping:
                    self.die("Couldn't bind to configuration repository: repository server unavailable.")
                self.known.changed.wait(_LOOK_SECONDS)
                if self.call.linger(0):
                    raise Exit(1)

    def _complain(self, instance: Instance, what: str, status: int) -> int:
        self.call.err(f'svcadm: Instance "{instance.fmri}" {what}.\n')
        return status

    # the rest -----------------------------------------------------------------------------------------------------

    def act(self, action: str, operands: list[str], event: str, change: Callable[[Instance], None]) -> int:
        found, status = self.targets(operands)
        for instance in found:
            if not self.call.privileged:
                self.die(f"{instance.fmri}: Permission denied.")
            self.operate(instance)
            with self.known.changed:
                change(instance)
                self.known.post(instance, event)
            self.call.half_way()
            self.say(f"Action {action} set for {instance.fmri}.")
        self.known.pump()
        return status

    def restart(self) -> int:
        options, operands = self.parse("d")
        if "d" in options:
            raise NotEmulated("svcadm restart -d")
        return self.act("restart", operands, "restart", lambda _: None)

    def refresh(self) -> int:
        _, operands = self.parse("")
        return self.act("refresh", operands, "refresh", lambda instance: self.known.refreshed(instance))

    def clear(self) -> int:
        _, operands = self.parse("")

        def must_be_clearable(instance: Instance) -> None:
            if instance.state not in (State.MAINTENANCE, State.DEGRADED):
                self.die(f'Instance "{instance.fmri}" is not in a maintenance or degraded state.')

        return self.act("maint_off", operands, "clear", must_be_clearable)

    def mark(self) -> int:
        options, operands = self.parse("It")
        events = {"maintenance": ("maint_on", "maintenance"), "degraded": ("degraded", "degrade")}
        if len(operands) < 2 or operands[0] not in events:
            self.usage()
        if options:
            raise NotEmulated("svcadm mark with options")
        action, event = events[operands[0]]
        return self.act(action, operands[1:], event, lambda _: None)


def _write_enabled(instance: Instance, on: bool, temporary: bool, comment: str | None) -> None:
    """general/enabled, or general_ovr/enabled until the next boot [services 3.4]."""
    repository, entity = instance.restarter.repository, instance.entity
    group = repo.GENERAL_OVR if temporary else repo.GENERAL
    if not temporary and entity.groups.pop(repo.GENERAL_OVR, None) is not None:
        repository.changed(entity, repo.GENERAL_OVR)
    repository.put(entity, group, "enabled", boolean(on))
    if comment is not None:
        repository.put(entity, group, "comment", astring(comment))
    elif on and "comment" in entity.groups[group].properties:
        repository.put(entity, group, "comment", None)


def main(call: Call) -> int:
    svcadm = Svcadm(call)
    verbs: dict[str, Callable[[], int]] = {
        "enable": lambda: svcadm.set_enabled(True),
        "disable": lambda: svcadm.set_enabled(False),
        "restart": svcadm.restart,
        "refresh": svcadm.refresh,
        "clear": svcadm.clear,
        "mark": svcadm.mark,
    }
    if svcadm.word == "milestone":
        raise NotEmulated("svcadm milestone")
    if svcadm.word not in verbs:
        svcadm.usage()
    return verbs[svcadm.word]()
