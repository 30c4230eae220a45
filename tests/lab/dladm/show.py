"""The listings of dladm, link properties apart [network 2.4, 2.6 - 2.8]."""

from __future__ import annotations

from dataclasses import dataclass

from lab import datalinks
from lab.dladm.process import PARSABLE, Dladm
from lab.ofmt import Field
from lab.world import GLOBAL, Link, LinkClass, NotEmulated

VNIC_VANILLA = [
    Field("LINK", 13),
    Field("OVER", 13),
    Field("SPEED", 9),
    Field("MACADDRESS", 18),
    Field("MACADDRTYPE", 20),
    Field("VID", 7),
]
VNIC_OMNIOS = [
    Field("LINK", 13),
    Field("OVER", 11),
    Field("SPEED", 9),
    Field("MACADDRESS", 18),
    Field("MACADDRTYPE", 12),
    Field("VID", 5),
    Field("ZONE", 20),
]
LINK = [
    Field("LINK", 12),
    Field("CLASS", 10),
    Field("MTU", 7),
    Field("STATE", 9),
    Field("BRIDGE", 11),
    Field("OVER", 30),
]
STATISTICS = [
    Field("LINK", 15),
    Field("IPACKETS", 10),
    Field("RBYTES", 8),
    Field("IERRORS", 10),
    Field("OPACKETS", 12),
    Field("OBYTES", 12),
    Field("OERRORS", 8),
]
PHYS = [
    Field("LINK", 13),
    Field("MEDIA", 21),
    Field("STATE", 11),
    Field("SPEED", 9),
    Field("DUPLEX", 9),
    Field("DEVICE", 13),
    Field("FLAGS", 7),
]
LONGS = PARSABLE | {"output": "o", "persistent": "P"}
STATISTICS_LONGS = {"statistics": "s", "interval": "i"}
SPEED_OF_PHYS = 1000  # Mb/s
DEVICE_OF_PHYS = "e1000g"
MISSING = "object not found"


@dataclass
class _Asked:
    parsable: bool = False
    persistent: bool = False
    statistics: bool = False
    interval: bool = False
    wanted: str | None = None
    over: str | None = None
    zone: str | None = None


def _read(dladm: Dladm, optstring: str, longs: dict[str, str]) -> tuple[_Asked, list[str]]:
    options, operands = dladm.options(optstring, longs)
    asked = _Asked()
    for option in options:
        dladm.refuse_option(option)
        match option.letter:
            case "p":
                dladm.once(asked.parsable, option)
                asked.parsable = True
            case "P":
                dladm.once(asked.persistent, option)
                asked.persistent = True
            case "s":
                dladm.once(asked.statistics, option)
                asked.statistics = True
            case "i":
                dladm.once(asked.interval, option)
                asked.interval = True
            case "o":
                asked.wanted = option.value
            case "l":
                asked.over = option.value
            case "z":
                asked.zone = option.value
            case "m" | "H":
                raise NotEmulated(f"dladm {dladm.subcommand} -{option.letter} [network 2.8]")
    return asked, operands


# VNICs and etherstubs -----------------------------------------------------------------------------------------------


def show_vnic(dladm: Dladm) -> int:
    return _show_vnics(dladm, LinkClass.VNIC)


def show_etherstub(dladm: Dladm) -> int:
    return _show_vnics(dladm, LinkClass.ETHERSTUB)


def _show_vnics(dladm: Dladm, klass: LinkClass) -> int:
    asked, operands = _read(dladm, ":pPl:si:o:", LONGS | STATISTICS_LONGS | {"link": "l"})
    if asked.interval and not asked.statistics:
        dladm.die("the option -i can be used only with -s")
    if klass is LinkClass.ETHERSTUB and asked.over is not None:
        dladm.die("option not supported for this command")
    if asked.statistics:
        raise NotEmulated(f"dladm {dladm.subcommand} -s [network 2.6]")
    if len(operands) > 1:
        dladm.usage()
    if operands:
        links = [_named_vnic(dladm, operands[0], klass, asked.persistent)]
    else:
        links = datalinks.visible(dladm.world, dladm.call.zone)
    if asked.over is not None:
        if dladm.find(asked.over) is None:
            dladm.die(f"invalid link name '{asked.over}'", MISSING)
        links = [link for link in links if link.over == asked.over]
    if asked.zone is not None:
        links = [link for link in links if link.zone == asked.zone and link.zone != GLOBAL]
    fields = VNIC_OMNIOS if dladm.omnios else VNIC_VANILLA
    stubs = klass is LinkClass.ETHERSTUB
    wanted = "link" if stubs and asked.wanted is None else asked.wanted
    table = dladm.table(fields, wanted, asked.parsable)
    if stubs and any(field.name != "LINK" for field in table.chosen):
        raise NotEmulated("uninitialised memory: show-etherstub knows only the field link [network 2.4]")
    for link in links:
        if link.klass is klass and (link.persistent if asked.persistent else link.active):
            table.row(_vnic_row(dladm, link))
    return 0


def _named_vnic(dladm: Dladm, name: str, klass: LinkClass, persistent: bool) -> Link:
    """The link an operand means; dies with what each dialect says [network 2.4, 2.6]."""
    word, article = ("etherstub", "an") if klass is LinkClass.ETHERSTUB else ("vnic", "a")
    link = dladm.find(name)
    if link is None:
        dladm.die(f"invalid {word if dladm.omnios else 'vnic'} name '{name}'", MISSING)
    if dladm.omnios and link.klass is not klass:
        dladm.die(f"datalink {name} is not {article} {word}: found class {link.klass.value}")
    there = link.persistent if persistent else link.active
    if link.klass is LinkClass.PHYS or not there:
        dladm.die(f"failed to show vnic '{name}'", MISSING)
    return link


def _vnic_row(dladm: Dladm, link: Link) -> dict[str, str | None]:
    row: dict[str, str | None] = {
        "link": link.name,
        "over": None if dladm.inside else link.over,
        "speed": str(speed(dladm, link)),
        "macaddress": link.mac,
        "macaddrtype": link.mac_type,
        "vid": str(link.vid),
    }
    if dladm.omnios:
        # A value, not an empty field: so it reads the same in parsable mode [network 2.6].
        row["zone"] = "--" if link.zone == GLOBAL else link.zone
    return row


def speed(dladm: Dladm, link: Link) -> int:
    """Mb/s: 0 on an etherstub, otherwise the lower link's, capped by maxbw."""
    lower = dladm.world.links.get(link.over)
    if lower is None or lower.klass is LinkClass.ETHERSTUB:
        return 0
    return min(SPEED_OF_PHYS, int(float(link.props.get("maxbw", SPEED_OF_PHYS))))


# show-link ------------------------------------------------------------------------------------------------------------


def show_link(dladm: Dladm) -> int:
    asked, operands = _read(dladm, ":pPsi:o:", LONGS | STATISTICS_LONGS)
    if asked.interval and not asked.statistics:
        dladm.die("the option -i can be used only with -s")
    if asked.statistics and asked.persistent:
        dladm.die("the option -P cannot be used with -s")
    _check_parsable(dladm, asked)
    if len(operands) > 1:
        dladm.usage()
    if asked.interval:
        raise NotEmulated("dladm show-link -i [network 2.7]")
    if operands:
        links = [_named_link(dladm, operands[0], asked.persistent)]
    else:
        links = [
            link
            for link in datalinks.visible(dladm.world, dladm.call.zone)
            if (link.persistent if asked.persistent else link.active)
        ]
    if asked.statistics:
        return _statistics(dladm, asked, links)
    table = dladm.table(
        LINK, asked.wanted, asked.parsable, "link,class,bridge,over" if asked.persistent else None, True
    )
    for link in links:
        table.row(
            {
                "link": link.name,
                "class": link.klass.value,
                "mtu": "" if asked.persistent else str(link.mtu),
                "state": "" if asked.persistent else "up",
                "bridge": "",
                "over": None if dladm.inside else link.over,
            }
        )
    return 0


def _check_parsable(dladm: Dladm, asked: _Asked) -> None:
    """These commands look earlier than libofmt does [network 2.3]."""
    if asked.parsable and asked.wanted is None:
        dladm.die("-p requires -o")
    if asked.parsable and asked.wanted is not None and asked.wanted.lower() == "all":
        dladm.die('"-o all" is invalid with -p')


def _named_link(dladm: Dladm, name: str, persistent: bool) -> Link:
    link = dladm.find(name)
    if link is None:
        dladm.die(f"link {name} is not valid", MISSING)
    if link.ghost:
        raise NotEmulated(f"what {dladm.subcommand} says about {name!r}, the ghost of a killed create [network 8.3]")
    if persistent and not link.persistent:
        dladm.die(f"link {name} is a temporary link", "invalid argument")
    if not persistent and not link.active:
        dladm.die(f"link {name} is temporarily removed", "invalid argument")
    return link


def _statistics(dladm: Dladm, asked: _Asked, links: list[Link]) -> int:
    table = dladm.table(STATISTICS, asked.wanted, asked.parsable)
    counters = dladm.world.floor.counters(links)
    for link in links:
        counted = counters.get(link.name)
        if counted is None:
            continue
        table.row(
            {
                "link": link.name,
                "ipackets": str(counted["ipackets64"]),
                "rbytes": str(counted["rbytes64"]),
                "ierrors": str(counted["ierrors"] & 0xFFFFFFFF),
                "opackets": str(counted["opackets64"]),
                "obytes": str(counted["obytes64"]),
                "oerrors": str(counted["oerrors"] & 0xFFFFFFFF),
            }
        )
    return 0


# show-phys, show-linkmap ----------------------------------------------------------------------------------------------


def show_phys(dladm: Dladm) -> int:
    asked, operands = _read(dladm, ":pPmHo:", LONGS)
    _check_parsable(dladm, asked)
    if len(operands) > 1:
        dladm.usage()
    links = datalinks.visible(dladm.world, dladm.call.zone)
    if operands:
        links = [_named_link(dladm, operands[0], asked.persistent)]
        if links[0].klass is not LinkClass.PHYS:
            raise NotEmulated(f"what show-phys says about {operands[0]!r}, no physical link [network 2.8]")
    default = "link,device,media,flags" if asked.persistent else "link,media,state,speed,duplex,device"
    table = dladm.table(PHYS, asked.wanted, asked.parsable, default)
    for number, link in enumerate(link for link in links if link.klass is LinkClass.PHYS):
        table.row(
            {
                "link": link.name,
                "media": "Ethernet",
                "state": "up",
                "speed": str(SPEED_OF_PHYS),
                "duplex": "full",
                "device": f"{DEVICE_OF_PHYS}{number}",
                "flags": "-----",
            }
        )
    return 0


def show_linkmap(dladm: Dladm) -> int:
    """What dlmgmtd has in its table: names that no kernel object backs, too [network 2.8, 8.3]."""
    if dladm.arguments:
        dladm.die("invalid arguments")
    dladm.only_in_global_zone()
    dladm.print("NAME          LINKID  CLASS       MEDIA                 FLAGS\n")
    for link in sorted(dladm.world.links.values(), key=lambda link: link.linkid):
        flags = int(link.active or link.ghost) + 2 * int(link.persistent)
        dladm.print(f"{link.name:<12s}{link.linkid:8d}  {link.klass.value:<12s}{'Ethernet':<20s} {flags:6d}\n")
    return 0
