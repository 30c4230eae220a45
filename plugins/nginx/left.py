"""What is left out because nginx would take nothing at all with it: a route, a template, a file; the rest goes on.

    tcp/PORT          a route whose port cannot be had        override/NETWORK  a network's own template
    stream            every TCP route: nginx cannot do TCP    tls/PATH          a certificate or its key
    default/PORT      who is asked for unknown hosts: an admin has said it himself
    hash              likewise the sizes for names
    half              clients that end their side first (nginx before 1.21.4)

`nginx -t` names it (services sheet 6.2), or the error log after a reload that was not taken (trap 44): a port that is
in use is met by the master only (nginx 1.22: -t takes EADDRINUSE for its own).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from zonehookd.model.route import Match, Proxy
from zonehookd.plugin import Forget, Note, Record, Remember
from zonehookd.plugin.contract import GatewayView

from .rendering import route_on

KIND = "nginx-left"  # record; name: GATEWAY KEY; facts: why, at (wall clock, seconds), of: what it is about
_AGAIN_S = {"tcp": 60.0, "override": 60.0, "tls": 60.0}
_SELDOM_S = 600.0  # what an admin has said himself, and what nginx was built without

_BIND = re.compile(r"bind\(\) to \S*?:(\d+) failed \(\d+: ([^)]*)\)")
_NO_STREAM = re.compile(r'unknown directive "stream"|"stream" directive is duplicate')
_HALF = re.compile(r'unknown directive "proxy_half_close"')
_HASH = re.compile(r'"server_names_hash_\w+" directive is duplicate')
_DEFAULT = re.compile(r"a duplicate default server for \S*?:(\d+)")
_CERTIFICATE = re.compile(r'(?:cannot load certificate(?: key)? |SSL_CTX_use_PrivateKey\w*\()"([^"]+)"')
_PLACE = re.compile(r" in (\S+):(\d+)")


@dataclass(frozen=True, slots=True)
class Left:
    """`of`: digest of what it was about, where that can change; a change tries it again."""

    key: str
    why: str
    at_s: float
    of: str = ""

    def rests(self, now_s: float, of: str) -> bool:
        return self.of == of and 0 <= now_s - self.at_s < self.pause_s

    @property
    def pause_s(self) -> float:
        return _AGAIN_S.get(self.key.partition("/")[0], _SELDOM_S)

    def note(self, now_s: float) -> Note | None:
        kind, _, what = self.key.partition("/")
        said = {
            "tcp": (f"route tcp/{what} is left out: {self.why}", "bind-failed", "let go of the port there"),
            "stream": (
                f"TCP routes are left out: {self.why}",
                "no-stream",
                "an nginx with the stream module, or haproxy",
            ),
            "override": (f"templates of network {what} are not used: {self.why}", "bad-template", "mend the template"),
            "tls": (
                f"{what} is not used: {self.why}",
                "bad-certificate",
                "nginx must be able to read it; tried again each minute",
            ),
        }.get(kind)
        if said is None:
            return None
        again_s = max(0.1, self.at_s + self.pause_s - now_s)
        if kind == "override":  # nothing else says that it was mended
            again_s = min(again_s, 10.0)
        return Note("refused", said[0], said[1], self.key, said[2], again_s)


def known(records: Sequence[Record]) -> Mapping[str, Left]:
    found = {}
    for record in records:
        if record.kind == KIND:
            key = record.name.partition(" ")[2]
            found[key] = Left(key, record.facts["why"], float(record.facts["at"]), record.facts["of"])
    return found


def remember(gateway: GatewayView, plugin: str, each: Left) -> Remember:
    facts = {"why": each.why, "at": repr(each.at_s), "of": each.of}
    return Remember(
        Record(KIND, f"{gateway.name} {each.key}", gateway.subject, plugin, facts),
        f"{each.key} is left out: {each.why}",
    )


def forget(gateway: GatewayView, key: str, why: str) -> Forget:
    return Forget(KIND, f"{gateway.name} {key}", why)


def culprits(
    said: str, config: str, main: str, networks: Mapping[str, str], proxy: Proxy, own: Mapping[str, str]
) -> Iterator[str]:
    """What `said` is about, as far as it is one thing that can be left out. `config`, `main`: what was tested.
    `networks`: match -> network of each route. `own`: network -> digest of its own templates."""
    for found in _BIND.finditer(said):
        if str(Match(port=int(found[1]))) in networks:
            yield f"tcp/{found[1]}"
    if _NO_STREAM.search(said):
        yield "stream"
    if _HALF.search(said):
        yield "half"
    if _HASH.search(said):
        yield "hash"
    for found in _DEFAULT.finditer(said):
        yield f"default/{found[1]}"
    files = {path for each in proxy.tls for path in (each.certificate, each.key)}
    for found in _CERTIFICATE.finditer(said):
        if found[1] in files:
            yield f"tls/{found[1]}"
    for found in _PLACE.finditer(said):
        route = route_on(config if "http.conf" in found[1] else main, int(found[2]))
        if route in networks and own.get(networks[route]):
            yield f"override/{networks[route]}"
