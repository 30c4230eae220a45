"""routeadm(8): IP forwarding as a pair of services; routing daemons are not emulated [network 5.1, services 2]."""

from __future__ import annotations

from dataclasses import dataclass

from lab.call import Call
from lab.getopt import getopt
from lab.smf import repository as repo
from lab.smf.delivered import FORWARDING
from lab.smf.host import restarter_of
from lab.smf.instance import UP, Instance
from lab.smf.restarter import Restarter
from lab.smf.values import boolean
from lab.world import NotEmulated, Refused

USAGE = """\
usage: routeadm [-p [<option>]] [-R <root-dir>]
usage: routeadm [-e <option>] [-e...] [-d <option>] [-d...] [-r <option>...] [-l <FMRI>] [-m <FMRI> key=value [key=value]...] [-s <var>=<value>] [-u] [-R <root-dir>]

\t<option> is one of:
\tipv4-forwarding
\tipv4-routing
\tipv6-forwarding
\tipv6-routing
"""  # noqa: E501 - one line of the real text
OPTIONS = ("ipv4-routing", "ipv6-routing", "ipv4-forwarding", "ipv6-forwarding")
_SERVICES = "route:default ripng:default"
_VARIABLES = {
    "ipv4-routing-daemon": "", "ipv4-routing-daemon-args": "", "ipv4-routing-stop-cmd": "",
    "ipv6-routing-daemon": "", "ipv6-routing-daemon-args": "", "ipv6-routing-stop-cmd": "",
    "routing-svcs": _SERVICES,
}  # fmt: skip
_ROUTED = "svc:/network/routing/route:default"


@dataclass
class Routeadm:
    call: Call
    known: Restarter

    def service(self, option: str) -> Instance | None:
        """None for routing, which nothing here does."""
        family = 6 if option.startswith("ipv6") else 4
        return self.known.instances[FORWARDING[family]] if option.endswith("forwarding") else None

    def persistent(self, option: str) -> str:
        """general/enabled of the service, without what holds only until the next boot."""
        service = self.service(option)
        found = service.entity.groups[repo.GENERAL].properties["enabled"].values if service else ("false",)
        return "enabled" if found == ("true",) else "disabled"

    def current(self, option: str) -> str:
        service = self.service(option)
        return "enabled" if service is not None and service.state in UP else "disabled"

    def parseable(self, option: str) -> str:
        return f"persistent={self.persistent(option)} default=disabled current={self.current(option)}"

    # printing -----------------------------------------------------------------------------------------------------

    def report(self, operands: list[str]) -> int:
        for name in operands:
            if name in OPTIONS:
                self.call.out(f"{self.parseable(name)}\n")
            elif name in _VARIABLES:
                self.call.out(f'persistent="{_VARIABLES[name]}" default="{_VARIABLES[name]}" \n')
            else:
                self.call.err(f"routeadm: no such option/variable {name}\n")
                return 1
        if not operands:
            self.call.out("".join(f"{name} {self.parseable(name)}\n" for name in OPTIONS))
            lines = (f'{name} persistent="{value}" default="{value}" \n' for name, value in _VARIABLES.items())
            self.call.out("".join(lines))
        return 0

    def table(self) -> int:
        titles = {"routing": "routing", "forwarding": "forwarding"}
        out = self.call.out
        out("              Configuration   Current              Current\n")
        out("                     Option   Configuration        System State\n")
        out("-" * 63 + "\n")
        for name in OPTIONS:
            family, _, what = name.partition("-")
            label = f"{family.replace('ip', 'IP')} {titles[what]}"
            out(f"{label:>27}   {self.persistent(name):<21}{self.current(name)}\n")
        out(f'\n           Routing services   "{_SERVICES}"\n\nRouting daemons:\n\n')
        out("                      STATE   FMRI\n")
        out(f"{self.known.instances[_ROUTED].state.value:>27}   {_ROUTED}\n")
        return 0

    # changing -----------------------------------------------------------------------------------------------------

    def set(self, option: str, on: bool) -> None:
        """For the next boot: what is now stays as a temporary setting."""
        service = self.service(option)
        if service is None:
            if on:
                raise NotEmulated(f"routeadm -e {option}")
            return
        repository, entity = self.known.repository, service.entity
        repository.put(entity, repo.GENERAL_OVR, "enabled", boolean(service.enabled()))
        repository.put(entity, repo.GENERAL, "enabled", boolean(on))

    def apply(self) -> None:
        """`-u`: the temporary settings go, and the services follow."""
        for option in OPTIONS:
            service = self.service(option)
            if service is not None and service.entity.groups.pop(repo.GENERAL_OVR, None) is not None:
                self.known.repository.changed(service.entity, repo.GENERAL_OVR)
                self.known.post(service, "check")


def main(call: Call) -> int:
    options, operands = getopt(call.argv[1:], ":pR:e:d:r:l:m:s:u")
    letters = {option.letter for option in options}
    if letters & {"?", ":"}:
        call.err(USAGE)
        return 1
    for letter in sorted(letters & set("Rlms")):
        raise NotEmulated(f"routeadm -{letter}")
    known = restarter_of(call.world, call.zone)
    if known is None:
        raise NotEmulated("routeadm in a zone whose SMF does not answer")
    routeadm = Routeadm(call, known)
    if "p" in letters:
        if letters & set("demrsu"):
            call.err("routeadm: the -p option cannot be used with any of -demrsu\n")
            return 1
        with known.changed:
            return routeadm.report(operands)
    if operands:
        call.err(USAGE)
        return 1
    if not options:
        with known.changed:
            return routeadm.table()
    for option in options:
        if option.letter in "edr" and option.value not in OPTIONS:
            call.err(f"routeadm: invalid option: {option.value}\n")
            return 1
    return _change(call, routeadm, [(option.letter, option.value) for option in options])


def _change(call: Call, routeadm: Routeadm, wanted: list[tuple[str, str]]) -> int:
    if not call.privileged:
        raise NotEmulated("routeadm without all privileges")
    try:
        call.operate()
    except Refused as fault:
        call.err(f"routeadm: {fault.status}\n")
        return 1
    with routeadm.known.changed:
        for letter, value in wanted:
            if letter in "edr":
                routeadm.set(value, letter == "e")  # the default of each is disabled
        call.half_way()
        if ("u", "") in wanted:
            routeadm.apply()
    routeadm.known.pump()
    return 0
