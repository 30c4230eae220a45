"""Etherstubs and VNICs come, go and change their names [network 2.4, 2.5, 2.9]."""

from __future__ import annotations

from dataclasses import dataclass, field

from lab import datalinks, linkprops
from lab.dladm.process import ROOT, Dladm
from lab.world import GLOBAL, Link, LinkClass, NotEmulated, Refused

PROPERTIES_MAX = 256  # DLADM_STRSIZE
PERSIST_ONLY = "change cannot be persistent"


def create_etherstub(dladm: Dladm) -> int:
    # No leading colon here, so a missing -R value reads as an unknown option [network 2.4].
    options, operands = dladm.options("tR:", ROOT)
    temporary, root = False, None
    for option in options:
        dladm.refuse_option(option)
        if option.letter == "t":
            temporary = True
        else:
            root = option.value
    if len(operands) != 1:
        dladm.usage()
    name = dladm.link_name(operands[0])
    if root is not None:
        dladm.for_another_root(root)
    dladm.only_in_global_zone()
    link = Link(
        name,
        0,
        LinkClass.ETHERSTUB,
        mac=datalinks.random_mac(),
        mac_type="random",
        persistent=not temporary,
    )
    try:
        dladm.need_privilege()
        datalinks.create(dladm.world, link, dladm.call.operate, dladm.call.half_way)
    except Refused as refused:
        dladm.die("etherstub creation failed", refused.status)
    return 0


@dataclass
class _Wish:
    """The options of create-vnic."""

    temporary: bool = False
    force: bool = False
    root: str | None = None
    over: str | None = None
    mac: str | None = None
    slot: int | None = None
    prefix: str | None = None
    vid: int = 0
    properties: list[str] = field(default_factory=list)


def create_vnic(dladm: Dladm) -> int:
    wish, operands = _read_wish(dladm)
    if wish.force and not wish.vid:
        dladm.die("-f option can only be used with -v")
    mac, mac_type = _mac(dladm, wish)
    if wish.over is None or len(operands) != 1:
        dladm.usage()
    name = dladm.link_name(operands[0])
    if wish.root is not None:
        dladm.for_another_root(wish.root)
    if dladm.find(wish.over) is None:
        dladm.die(f"invalid link name '{wish.over}'")
    properties = linkprops.parse(",".join(wish.properties)) if wish.properties else []
    if properties is None:
        dladm.die("invalid vnic property")
    link = Link(
        name,
        0,
        LinkClass.VNIC,
        over=wish.over,
        mac=mac,
        mac_type=mac_type,
        vid=wish.vid,
        persistent=not wish.temporary,
    )
    resources: list[tuple[linkprops.Property, str]] = []

    def operate() -> None:
        """The resource properties travel with the kernel's create request."""
        for name, values in properties:
            prop = linkprops.TABLE.get(name.lower())
            if prop is not None and prop.resource:
                if prop.check is None:
                    raise NotEmulated(f"link property {name!r} at creation time [network 2.5]")
                resources.append((prop, prop.check(values)))
        if mac_type == "factory":
            raise Refused("factory MAC address slots not supported")
        dladm.call.operate()

    if not wish.temporary:
        link.stored_props = {name.lower(): ",".join(values) for name, values in properties}
    failure = f"vnic creation over {wish.over} failed"
    try:
        dladm.need_privilege()
        datalinks.create(dladm.world, link, operate, dladm.call.half_way)
    except Refused as refused:
        if refused.status == "link busy":
            dladm.die(f"VLAN over '{wish.over}' may not use default_tag ID (see dladm(8))")
        dladm.die(failure, refused.status)
    for prop, value in resources:
        linkprops.set_active(dladm.world, link, prop, value)
    for name, values in properties:
        try:
            _other_property(dladm, link, name.lower(), values)
        except Refused as refused:
            link.transient = False
            datalinks.delete(dladm.world, link)
            dladm.warn(f"failed to set property {name}", refused.status)
            dladm.die(failure, refused.status)
    return 0


def _other_property(dladm: Dladm, link: Link, name: str, values: list[str]) -> None:
    """What is no resource is stored but not applied; with -t it is dropped without a word, nonsense included.

    That is illumos issue 15695 [network 2.5]. OmniOS: -t with `zone` makes the VNIC transient.
    """
    prop = linkprops.TABLE.get(name)
    if link.persistent:
        if prop is None:
            raise Refused("object not found")
        if name == "zone":
            raise Refused(PERSIST_ONLY)
    elif dladm.omnios and name == "zone" and prop is not None and prop.check is not None:
        linkprops.set_active(dladm.world, link, prop, prop.check(values))
        link.transient = link.zone != GLOBAL


def _read_wish(dladm: Dladm) -> tuple[_Wish, list[str]]:
    options, operands = dladm.options(":tfR:l:m:n:p:r:v:V:A:H", ROOT | {"dev": "d", "mac-address": "m", "force": "f"})
    wish = _Wish()
    for option in options:
        dladm.refuse_option(option)
        value = option.value
        match option.letter:
            case "t":
                wish.temporary = True
            case "f":
                wish.force = True
            case "R":
                wish.root = value
            case "l":
                if len(value) > datalinks.NAME_MAX:
                    dladm.die("link name too long")
                wish.over = value
            case "m":
                if wish.mac is not None:
                    dladm.die("cannot specify -m option twice")
                wish.mac = value
            case "n":
                if not value.isdigit():
                    dladm.die("invalid slot number")
                wish.slot = int(value)
            case "r":
                wish.prefix = value
            case "v":
                dladm.once(bool(wish.vid), option)
                if not value.isdigit() or not 1 <= int(value) <= 4094:
                    dladm.die(f"invalid VLAN identifier '{value}'")
                wish.vid = int(value)
            case "p":
                wish.properties.append(value)
                if len(",".join(wish.properties)) >= PROPERTIES_MAX:
                    dladm.die(f"property list too long '{','.join(wish.properties)}'")
            case "V" | "A":
                raise NotEmulated("VRRP VNICs [network 2.5]")
    return wish, operands


def _mac(dladm: Dladm, wish: _Wish) -> tuple[str, str]:
    """MAC address and its type; the words match by prefix [network 2.5]."""
    text = wish.mac or "auto"
    word = next((each for each in ("auto", "random", "factory", "fixed", "vrrp") if each.startswith(text)), None)
    if word == "fixed":
        dladm.die(f"'{text}' is not a valid MAC address")
    if word == "vrrp":
        raise NotEmulated("VRRP VNICs [network 2.5]")
    if wish.slot is not None and word != "factory":
        dladm.usage()
    if wish.prefix is not None:
        if word != "random":
            dladm.usage()
        whole = datalinks.parse_mac(wish.prefix + ":0" * (5 - wish.prefix.count(":")))
        if whole is None:
            raise NotEmulated("the refusal of a MAC prefix that is none [network 2.5]")
        octets = whole.split(":")[: wish.prefix.count(":") + 1]
        return datalinks.random_mac(tuple(int(octet, 16) for octet in octets)), "random"
    if word == "factory":
        return datalinks.random_mac(), "factory"
    if word is not None:
        return datalinks.random_mac(), "random"
    mac = datalinks.parse_mac(text)
    if mac is None:
        dladm.die("invalid MAC address")
    return mac, "fixed"


def delete_etherstub(dladm: Dladm) -> int:
    return _delete(dladm, LinkClass.ETHERSTUB, "an etherstub")


def delete_vnic(dladm: Dladm) -> int:
    return _delete(dladm, LinkClass.VNIC, "a vnic")


def _delete(dladm: Dladm, klass: LinkClass, what: str) -> int:
    options, operands = dladm.options(":R:t", ROOT)
    temporary, root = False, None
    for option in options:
        dladm.refuse_option(option)
        match option.letter:
            case "t":
                temporary = True
            case "R":
                root = option.value
            case "z":
                raise NotEmulated("dladm delete-vnic -z [network 3.4]")
    if len(operands) != 1:
        dladm.usage()
    if root is not None:
        dladm.for_another_root(root)
    dladm.only_in_global_zone()
    link = dladm.find(operands[0])
    if link is None:
        dladm.die(f"invalid link name '{operands[0]}'")
    if link.klass is not LinkClass.PHYS and link.klass is not klass:
        dladm.die(f"'{link.name}' is not {what}")
    try:
        dladm.need_privilege()
        if link.klass is LinkClass.PHYS:
            raise Refused("invalid argument")
        datalinks.delete(dladm.world, link, temporary, dladm.call.operate, dladm.call.half_way)
    except Refused as refused:
        dladm.die("vnic deletion failed", refused.status)  # for etherstubs too [network 2.4]
    return 0


def rename_link(dladm: Dladm) -> int:
    options, operands = dladm.options(":R:", {"root-dir": "R"})
    root = None
    for option in options:
        dladm.refuse_option(option)
        if option.letter == "z":
            raise NotEmulated("dladm rename-link -z [network 2.9]")
        root = option.value
    if len(operands) != 2:
        dladm.usage()
    if root is not None:
        dladm.for_another_root(root)
    dladm.only_in_global_zone()
    old, new = operands
    link = dladm.find(old)
    try:
        dladm.need_privilege()
        if link is None:
            raise Refused("object not found")
        dladm.call.half_way()
        datalinks.rename(dladm.world, link, new, dladm.call.operate)
    except Refused as refused:
        dladm.die("rename operation failed", refused.status)
    return 0


def up_vnic(dladm: Dladm) -> int:
    options, operands = dladm.options(":", {})
    for option in options:
        dladm.refuse_option(option)
    if len(operands) > 1:
        dladm.usage()
    dladm.only_in_global_zone()
    if dladm.call.privileged:
        datalinks.up(dladm.world, operands or None)
    return 0
