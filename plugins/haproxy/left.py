"""Certificates that are left out because haproxy would take nothing at all with them; the rest goes on."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from zonehookd.illumos import marked
from zonehookd.model.route import Proxy
from zonehookd.plugin import Forget, GatewayView, Note, Record, Remember, served

KIND = "haproxy-left"  # record; name: GATEWAY PATH; facts: why, at (wall clock, seconds), of: what is declared
_AGAIN_S = 60.0
_SAID = re.compile(r"\[(?:ALERT|WARNING)\]\s*(?:\(\d+\)\s*:\s*)?(?:config\s*:\s*)?(.*)")
_BEFORE = re.compile(r"^.* in section '[^']*' : ")
_CLOSING = re.compile(r"(?:Error\(s\)|Fatal errors) found in configuration")


@dataclass(frozen=True, slots=True)
class Left:
    """A file haproxy does not take. `of`: the certificates that were declared; with others it is tried again."""

    path: str
    why: str
    at_s: float
    of: str

    def rests(self, now_s: float, proxy: Proxy) -> bool:
        return self.of == declared(proxy) and 0 <= now_s - self.at_s < _AGAIN_S

    def note(self, now_s: float) -> Note:
        text = f"certificate {self.path} is not used: {self.why}"
        hint = "haproxy must be able to read it, and its key, in it or in a file of the same name and .key"
        again_s = max(0.1, self.at_s + _AGAIN_S - now_s)
        return Note("refused", text, "bad-certificate", self.path, hint, again_s)


def declared(proxy: Proxy) -> str:
    return "; ".join(" ".join((each.certificate, *each.hosts)) for each in proxy.tls)


def known(records: Sequence[Record]) -> Mapping[str, Left]:
    """By path."""
    return {
        path: Left(path, each.facts["why"], float(each.facts["at"]), each.facts["of"])
        for each in records
        if each.kind == KIND and (path := each.name.partition(" ")[2])
    }


def remember(gateway: GatewayView, plugin: str, each: Left) -> Remember:
    facts = {"why": each.why, "at": repr(each.at_s), "of": each.of}
    record = Record(KIND, f"{gateway.name} {each.path}", gateway.subject, plugin, facts)
    return Remember(record, f"{each.path} is left out: {each.why}")


def forget(gateway: GatewayView, path: str, why: str) -> Forget:
    return Forget(KIND, f"{gateway.name} {path}", why)


def culprits(said: str, proxy: Proxy, out: Collection[str], now_s: float) -> Iterator[Left]:
    """Certificates that `said`, of a test or of a start, is about; haproxy speaks of one at a time, as of
    ``'PATH'`` or ``'PATH.key'`` (tried with 2.6). `out`: those that were left out of it."""
    lines = re.split(r"\n| / ", said)
    for path in dict.fromkeys(each.certificate for each in proxy.tls):
        quoted = re.compile(rf"'{re.escape(path)}(?:\.\w+)?'")
        why = next((line for line in lines if quoted.search(line)), "")
        if why and path not in out:
            yield Left(path, _BEFORE.sub("", why), now_s, declared(proxy))


def complaint(text: str) -> str:
    """Of what ``haproxy -c`` says, the lines that stop it, or may; all of it where there are none such."""
    found = [match[1].strip() for line in text.splitlines() if (match := _SAID.match(line.strip()))]
    return "\n".join(dict.fromkeys(each for each in found if not _CLOSING.match(each))) or text


def placed(server: served.Server, found: served.Seen) -> served.Seen:
    """What its test said, with places in the file that was tested as those of the main file: what is ours stands at the
    end of it, and lines of others before it have the same numbers."""
    if found.tested is None or found.tested.fit:
        return found
    parts = marked.parts(found.files.get(server.main_candidate) or "", server.name)
    ours = parts[0].count("\n") if parts is not None else 0

    def there(match: re.Match[str]) -> str:
        return f"our part of {server.main}" if parts and int(match[1]) > ours else f"{server.main}:{match[1]}"

    said = re.sub(rf"(?:parsing )?\[?{re.escape(str(server.main_candidate))}:(\d+)\]?", there, found.tested.said)
    return replace(found, tested=replace(found.tested, said=said.replace(str(server.main_candidate), str(server.main))))
