"""What a zone's attributes say it serves (contract A9): pure.

The attribute is ``zh.route``, ``zh.route0`` … or ``zh.route.NAME``, as many as the zone has routes. It holds host
names, each perhaps with a path, or ``tcp=PORT``, and options:

    shop.example.org www.example.org/shop port=8080 check=/health weight=2 group=shop
    tcp=5432 port=5432 on=dmz

A word that is none of these refuses the whole attribute: nothing of it is guessed, and nothing else is harmed.
"""

from __future__ import annotations

import re

from zonehookd.model import route, subject
from zonehookd.model.attachment import Refusal
from zonehookd.model.route import Check, Match, Offer

_NAME = re.compile(r"zh\.route(\d{0,3}|\.[A-Za-z0-9-]{1,63})", re.ASCII)
_NETWORK = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,30}", re.ASCII)  # as in config/section.py
_OPTIONS = ("port", "check", "weight", "group", "on", "tcp")
_WEIGHT_MAX, _MATCHES_MAX, _OFFERS_MAX = 256, 16, 64


def offered(zone: str, wishes: dict[str, str], refused: list[Refusal]) -> tuple[Offer, ...]:
    """Takes the attributes that are about routes out of `wishes`."""
    found: list[Offer] = []
    for name in sorted(each for each in wishes if _NAME.fullmatch(each)):
        text = wishes.pop(name)
        try:
            if len(found) == _OFFERS_MAX:
                raise ValueError(f"a zone may have {_OFFERS_MAX} of them")
            found.append(_offer(zone, name, text))
        except ValueError as problem:
            what = f"attribute {name}: {problem}"
            hint = "HOST[/PATH] … or tcp=PORT, then port=, check=, weight=, group=, on="
            refused.append(Refusal(subject.zone(zone), "malformed-route", name, what, f"zone {zone}", hint))
    return tuple(found)


def _offer(zone: str, name: str, text: str) -> Offer:
    matches: list[Match] = []
    options: dict[str, str] = {}
    for word in text.split():
        key, equals, value = word.partition("=")
        if not equals:
            host, slash, rest = word.partition("/")
            matches.append(Match(_host(host), route.path(f"/{rest}") if slash else "/"))
        elif key not in _OPTIONS:
            raise ValueError(f"unknown option {key!r}")
        elif key in options:
            raise ValueError(f"{key} is said twice")
        else:
            options[key] = value
    public = _number("tcp", options["tcp"], 65535) if "tcp" in options else 0
    if public:
        if matches:
            raise ValueError("a TCP route has no host names: its public port says it all")
        matches = [Match(port=public)]
    if not matches or len(set(matches)) > _MATCHES_MAX:
        raise ValueError(f"expected 1 to {_MATCHES_MAX} host names, or tcp=PORT, found {len(set(matches))}")
    return Offer(
        name,
        zone,
        tuple(dict.fromkeys(matches)),
        _number("port", options["port"], 65535) if "port" in options else public or 80,
        _number("weight", options["weight"], _WEIGHT_MAX) if "weight" in options else 1,
        route.check(options["check"]) if "check" in options else Check(),
        route.group(options["group"]) if "group" in options else "",
        _network(options["on"]) if "on" in options else "",
    )


def _network(text: str) -> str:
    if not _NETWORK.fullmatch(text):
        raise ValueError(f"on: expected the name of a network, found {text!r}")
    return text


def _host(text: str) -> str:
    name = route.host(text)
    if name.startswith("*.") and name.count(".") < 2:
        raise ValueError(f"{text!r}: a whole top-level domain is nobody's")
    return name


def _number(key: str, text: str, most: int) -> int:
    if not re.fullmatch(r"[0-9]{1,5}", text, re.ASCII) or not 1 <= int(text) <= most:
        raise ValueError(f"{key}: expected a number from 1 to {most}, found {text!r}")
    return int(text)
