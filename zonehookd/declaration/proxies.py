"""From `[gateway.NAME.proxy]` and its routes to a `Proxy`, refusing what cannot be (contract A9): pure."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

from zonehookd.config import GatewaySection, ProxySection, RouteSection, TlsSection
from zonehookd.declaration import values
from zonehookd.errors import ConfigError
from zonehookd.model import route
from zonehookd.model.gateway import GLOBAL, Gateway, Kind
from zonehookd.model.route import Match, Offer, Proxy, Tls

T = TypeVar("T")


def proxy(name: str, section: GatewaySection, kind: Kind) -> Proxy | None:
    """Raises ConfigError."""
    where, wanted = f"gateway.{name}.proxy", section.proxy
    if wanted is None:
        if section.route:
            raise ConfigError(f"gateway.{name}.route: the gateway has no proxy", hint=f"declare [{where}]")
        return None
    if kind == "external":
        raise ConfigError(f"{where}: an external gateway is only wired, so there is no proxy in it",
                          hint='make it kind = "proxy"')  # fmt: skip
    if name == GLOBAL and not (wanted.listen or section.outside):
        raise ConfigError(f"{where}.listen: in the global zone it listens on no address that is not declared",
                          hint="give addresses, or an outside with address")  # fmt: skip
    return _proxy(where, wanted, _offers(f"gateway.{name}.route", section.route))


def _proxy(where: str, section: ProxySection, offers: tuple[Offer, ...]) -> Proxy:
    if section.http and section.http == section.https and section.tls:
        raise ConfigError(f"{where}.https: {section.https} is the port for HTTP, too")
    tls = tuple(_tls(f"{where}.tls", each, section.program) for each in section.tls)
    if not section.http and not (section.https and tls) and not section.tcp_ports and not any(_tcp(offers)):
        raise ConfigError(f"{where}: it has no port to listen on", hint="http, https with tls, or tcp_ports")
    return Proxy(
        program=section.program,
        http=section.http,
        https=section.https,
        listen=values.addresses(f"{where}.listen", section.listen),
        balance=section.balance,
        tls=tls,
        tcp_ports=tuple(values.port(f"{where}.tcp_ports", each) for each in section.tcp_ports),
        hosts={_said(f"{where}.hosts", route.host, name): tuple(zones) for name, zones in section.hosts.items()},
        offers=offers,
        drain_s=section.drain_s,
    )


def _tls(where: str, section: TlsSection, program: str) -> Tls:
    for path in filter(None, (section.certificate, section.key)):
        plain = path.startswith("/") and path.isprintable() and not set(path) & set(" \"'\\;{}#$")
        if not plain:
            raise ConfigError(f"{where}: expected an absolute path without blanks, quotes and ; {{ }} # $, "
                              f"found {path!r}")  # fmt: skip
    if program == "haproxy" and section.key not in ("", section.certificate, f"{section.certificate}.key"):
        raise ConfigError(f"{where}.key: haproxy looks for the key in the certificate's file, or beside it",
                          hint=f"put it into {section.certificate}, or call it {section.certificate}.key")  # fmt: skip
    hosts = tuple(_said(f"{where}.hosts", route.host, each) for each in section.hosts)
    return Tls(section.certificate, section.key, hosts)


def _offers(where: str, sections: Sequence[RouteSection]) -> tuple[Offer, ...]:
    return tuple(_offer(f"{where} {number}", each) for number, each in enumerate(sections, 1))


def _offer(where: str, section: RouteSection) -> Offer:
    texts = [section.host] if isinstance(section.host, str) else section.host
    if bool(texts) is (section.tcp is not None):
        raise ConfigError(f"{where}: expected either host or tcp", hint='host = "shop.example.org", or tcp = 5432')
    matches = tuple(_said(f"{where}.host", site, each) for each in texts)
    if section.tcp is not None:
        matches = (Match(port=section.tcp),)
    try:
        to = str(ipaddress.ip_address(section.to))
    except ValueError:
        to = section.to
    if not to:
        raise ConfigError(f"{where}.to: expected a zone or an address")
    return Offer(
        where,
        to,
        matches,
        section.port or section.tcp or 80,
        section.weight,
        _said(f"{where}.check", route.check, section.check),
        _said(f"{where}.group", route.group, section.group) if section.group else "",
        section.on,
    )


def site(text: str) -> Match:
    """``HOST`` or ``HOST/PATH``. Raises ValueError."""
    name, slash, rest = text.partition("/")
    return Match(route.host(name), route.path(f"/{rest}") if slash else "/")


def _said(where: str, read: Callable[[str], T], text: str) -> T:
    try:
        return read(text)
    except ValueError as problem:
        raise ConfigError(f"{where}: {problem}") from problem


def _tcp(offers: Sequence[Offer]) -> Iterator[int]:
    return (match.port for offer in offers for match in offer.matches if match.port)


def check_ports(gateway: Gateway) -> None:
    """One public port has one owner: a forward, HTTP, HTTPS, or one TCP route (contract A6). Raises ConfigError."""
    made, where = gateway.proxy, f"gateway.{gateway.name}.proxy"
    if made is None:
        return
    for port in (*made.ports, *_tcp(made.offers)):
        other = gateway.forward_on(port)
        if other is not None:
            raise ConfigError(f"{where}: port {port} is taken by forward {other} (to {other.to})",
                              hint="one public port has one owner: choose another port, or another address to "
                              "listen on")  # fmt: skip
    for port in _tcp(made.offers):
        if port in made.ports:
            raise ConfigError(f"{where}: tcp {port} is the proxy's own port for HTTP or HTTPS")
