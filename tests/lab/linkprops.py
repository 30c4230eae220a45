"""Link properties: their values, their rules and what setting one does [network 2.10, 3.1, 3.7]."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from lab import datalinks, fence
from lab.datalinks import Step, nothing
from lab.world import GLOBAL, Link, LinkClass, NotEmulated, Refused, Status, World

EVERY = frozenset(LinkClass)
BRIDGEABLE = frozenset({LinkClass.PHYS, LinkClass.ETHERSTUB})
ONLY_VNIC = frozenset({LinkClass.VNIC})
MAXBW_MIN = 1_200_000  # bit/s
VALUES_MAX = 32
PROTECTIONS = ("mac-nospoof", "restricted", "ip-nospoof", "dhcp-nospoof")
_MAXBW = re.compile(r"(\d+(?:\.\d+)?)([KkMmGg]?)", re.ASCII)
_CPUS = re.compile(r"\d+(?:-\d+)?", re.ASCII)

Values = Sequence[str]
Check = Callable[[Values], str]


@dataclass(frozen=True)
class Property:
    """`check` turns given values into the stored text or raises `Refused`; None: the lab only shows it."""

    name: str
    classes: frozenset[LinkClass] = EVERY
    default: str = ""
    possible: str = ""
    check: Check | None = None
    writable: bool = True
    resource: bool = False  # takes effect when given to create-vnic [network 2.5]
    bridge: bool = False  # needs persistence


def _one(values: Values) -> str:
    if len(values) != 1:
        raise Refused("invalid number of values")
    return values[0]


def _one_of(*known: str) -> Check:
    def check(values: Values) -> str:
        if _one(values) not in known:
            raise Refused("invalid value")
        return values[0]

    return check


def _protection(values: Values) -> str:
    if any(value not in PROTECTIONS for value in values):
        raise Refused("invalid value")
    return ",".join(name for name in PROTECTIONS if name in values)


def _allowed_ips(values: Values) -> str:
    """Always stored with a length; host bits beyond a given length are refused."""
    if len(values) > VALUES_MAX:
        raise Refused("too many elements specified")
    try:
        return ",".join(str(ipaddress.ip_network(value, strict=True)) for value in values)
    except ValueError:
        raise Refused("invalid IP address") from None


def _cids(values: Values) -> str:
    if len(values) > VALUES_MAX:
        raise Refused("too many elements specified")
    return ",".join(values)


def _maxbw(values: Values) -> str:
    """As it is printed: Mb/s right-aligned, three decimals when fractional."""
    match = _MAXBW.fullmatch(_one(values))
    if match is None:
        raise Refused("invalid value")
    bits = int(float(match[1]) * {"k": 10**3, "m": 10**6, "g": 10**9}[match[2].lower() or "m"])
    if bits < MAXBW_MIN:
        raise Refused("minimum value for maxbw is 1200K")
    whole, rest = divmod(bits, 10**6)
    return f"{whole:5d}.{rest // 1000:03d}" if rest else f"{whole:5d}"


def _cpus(values: Values) -> str:
    if not all(_CPUS.fullmatch(value) for value in values):
        raise Refused("invalid value")
    return ",".join(values)


def _mtu(values: Values) -> str:
    """strtoul: what is no number is 0."""
    digits = re.match(r"\s*\+?(\d*)", _one(values), re.ASCII)
    assert digits is not None
    return str(int(digits[1] or "0"))


_TABLE = (
    Property("autopush"),
    Property("zone", check=_one),
    Property("state", default="up", possible="up,down", writable=False),
    Property("mtu", check=_mtu),
    Property("maxbw", check=_maxbw, resource=True),
    Property("cpus", check=_cpus, resource=True),
    Property("pool", check=_one, resource=True),
    Property(
        "priority", default="high", possible="low,medium,high", check=_one_of("low", "medium", "high"), resource=True
    ),
    Property("protection", possible=",".join(PROTECTIONS), check=_protection, resource=True),
    Property("allowed-ips", check=_allowed_ips, resource=True),
    Property("allowed-dhcp-cids", check=_cids, resource=True),
    Property("promisc-filtered", ONLY_VNIC, default="on", possible="on,off", check=_one_of("on", "off")),
    Property("secondary-macs", ONLY_VNIC),
    Property("rxrings", resource=True),
    Property("txrings", resource=True),
    Property("tagmode", frozenset({LinkClass.PHYS, LinkClass.VNIC}), default="vlanonly", possible="normal,vlanonly"),
    Property("default_tag", BRIDGEABLE, default="1", possible="0-4094"),
    Property("learn_limit", BRIDGEABLE, default="1000"),
    Property("learn_decay", BRIDGEABLE, default="200"),
    Property("stp", BRIDGEABLE, default="1", possible="1,0", bridge=True),
    Property("stp_priority", BRIDGEABLE, default="128", bridge=True),
    Property("stp_cost", BRIDGEABLE, default="auto", bridge=True),
    Property("stp_edge", BRIDGEABLE, default="1", possible="1,0", bridge=True),
    Property("stp_p2p", BRIDGEABLE, default="auto", bridge=True),
    Property("stp_mcheck", BRIDGEABLE, default="0", possible="1,0", bridge=True),
    Property("forward", BRIDGEABLE, default="1", possible="1,0", bridge=True),
)  # fmt: skip
TABLE = {each.name: each for each in _TABLE}


def parse(text: str) -> list[tuple[str, list[str]]] | None:
    """``name=v1,v2,name2=...`` as [(name, values)]; an element without ``=`` is a further value [network 2.5].

    None when it cannot be parsed. A name without any value has an empty list.
    """
    found: list[tuple[str, list[str]]] = []
    for element in text.split(","):
        name, equals, value = element.partition("=")
        if not name or "=" in value:
            return None
        if equals:
            found.append((name, [value] if value else []))
        elif found:
            found[-1][1].append(element)
        else:
            found.append((element, []))
    return found


# reading ------------------------------------------------------------------------------------------------------------


def default(world: World, link: Link, prop: Property) -> str:
    if prop.name != "mtu":
        return prop.default
    if link.klass is LinkClass.ETHERSTUB:
        return str(datalinks.ETHERSTUB_MTU)
    lower = world.links.get(link.over)
    return str(lower.mtu if lower else 1500)


def possible(world: World, link: Link, prop: Property) -> str:
    if prop.name != "mtu":
        return prop.possible
    lower = world.links.get(link.over)
    return f"{datalinks.MTU_MIN}-{lower.mtu if lower else datalinks.MTU_MAX}"


def active(world: World, link: Link, prop: Property) -> str:
    """The value in force, "" when unset. Raises `Refused`: what ``cannot get link property`` ends with."""
    if not link.active:
        raise Refused("object not found")
    if link.klass not in prop.classes:
        raise Refused("invalid argument")
    if prop.name == "zone":
        return "" if link.zone == GLOBAL else link.zone
    if prop.name == "mtu":
        return str(link.mtu)
    return link.props.get(prop.name, prop.default)


# writing ------------------------------------------------------------------------------------------------------------


def set_active(world: World, link: Link, prop: Property, value: str) -> None:
    """`value` has passed `prop.check`; "" resets. Raises `Refused`."""
    if not link.active:
        raise Refused("object not found")
    if prop.name == "zone":
        _set_zone(world, link, value)
    elif prop.name == "mtu":
        _set_mtu(world, link, int(value or default(world, link, prop)))
    else:
        rival = {"pool": "cpus", "cpus": "pool"}.get(prop.name)
        if value and rival in link.props:
            raise Refused("pool and cpus property are mutually exclusive")
        if value and value != prop.default:
            link.props[prop.name] = value
        else:
            link.props.pop(prop.name, None)
        if prop.name in fence.FENCING:
            fence.apply(world, link)


def _set_zone(world: World, link: Link, name: str) -> None:
    if name in ("", GLOBAL):
        datalinks.assign(world, link, None)
        return
    zone = world.kernel_zones.get(name)
    if zone is None or not zone.exclusive or not Status.READY <= zone.status <= Status.DOWN:
        raise Refused("invalid value")
    datalinks.assign(world, link, zone)


def _set_mtu(world: World, link: Link, mtu: int) -> None:
    lower = datalinks.lookup(world, link.over) if link.over else None
    top = lower.mtu if lower else datalinks.MTU_MAX
    if not datalinks.MTU_MIN <= mtu <= top:
        raise Refused("invalid argument")
    if any(upper.mtu > mtu for upper in datalinks.carries(world, link.name)):
        raise Refused("link busy")
    if mtu != link.mtu:
        world.floor.set_mtu(link, mtu)
        link.mtu = mtu


def change(
    world: World,
    link: Link,
    prop: Property,
    value: str,
    temporary: bool,
    operate: Step = nothing,
    half_way: Step = nothing,
) -> None:
    """set-linkprop and reset-linkprop ("") of one property: active, then stored [network 2.10]. Raises `Refused`.

    On a temporary link nothing is stored, without a word.
    """
    if not prop.writable:
        raise Refused("read-only property")
    if link.klass not in prop.classes:
        raise Refused("invalid argument")
    if prop.bridge and temporary:
        raise Refused("change must be persistent")
    if prop.name == "zone" and not temporary:
        raise Refused("change cannot be persistent")
    if prop.check is None and value:
        raise NotEmulated(f"setting link property {prop.name!r} [network 2.10]")
    operate()
    set_active(world, link, prop, value)
    half_way()
    if not temporary and link.persistent:
        keep(world, link, prop.name, value)


def keep(world: World, link: Link, name: str, value: str) -> None:
    """Into datalink.conf; "" takes it out."""
    if link.stored_props.get(name, "") == value:
        return
    if value:
        link.stored_props[name] = value
    else:
        link.stored_props.pop(name, None)
    datalinks.store(world, link)


def apply_stored(world: World, link: Link) -> None:
    """Boot: the stored properties become the active ones; what is not acceptable is left out."""
    for name, value in link.stored_props.items():
        prop = TABLE.get(name)
        if prop is None or prop.check is None or link.klass not in prop.classes:
            continue
        try:
            set_active(world, link, prop, prop.check([part.strip() for part in value.split(",")]))
        except Refused:
            continue
