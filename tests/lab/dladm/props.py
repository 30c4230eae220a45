"""set-, reset- and show-linkprop [network 2.10]."""

from __future__ import annotations

from lab import datalinks, linkprops
from lab.dladm.process import ROOT, Dladm
from lab.linkprops import TABLE
from lab.ofmt import Field, Table
from lab.world import Link, Refused

FIELDS = [
    Field("LINK", 13),
    Field("PROPERTY", 16),
    Field("PERM", 5),
    Field("VALUE", 15),
    Field("DEFAULT", 15),
    Field("POSSIBLE", 20),
]
MISSING = "object not found"


def set_linkprop(dladm: Dladm) -> int:
    return _change(dladm, resetting=False)


def reset_linkprop(dladm: Dladm) -> int:
    return _change(dladm, resetting=True)


def _change(dladm: Dladm, resetting: bool) -> int:
    options, operands = dladm.options(":p:R:t", ROOT | {"prop": "p"})
    temporary, root, zone = False, None, None
    given: list[str] = []
    for option in options:
        dladm.refuse_option(option)
        match option.letter:
            case "t":
                temporary = True
            case "R":
                root = option.value
            case "p":
                given.append(option.value)
            case "z":
                zone = option.value
    if len(operands) != 1:
        dladm.usage()
    if not given and not resetting:
        dladm.die("link property must be specified")
    text = ",".join(given)
    wanted = [(name, [""]) for name in text.split(",") if name] if resetting else linkprops.parse(text)
    if wanted is None:
        dladm.die("invalid link properties specified")
    if root is not None:
        dladm.for_another_root(root)
    link = dladm.find(operands[0], zone)
    if link is None:
        dladm.die(f"link {operands[0]} is not valid", MISSING)
    if resetting and not given:
        wanted = [(name, [""]) for name in _changed(link)]
    # Not atomic; and the exit status speaks of the last property only.
    status = 0
    for name, values in wanted:
        status = _change_one(dladm, link, name, values, temporary, "reset" if resetting else "set")
    return status


def _changed(link: Link) -> list[str]:
    """What a reset of everything has to touch."""
    names = [*link.props, *link.stored_props]
    if link.zone != "global":
        names.append("zone")
    return [*dict.fromkeys(names), "mtu"]


def _change_one(dladm: Dladm, link: Link, name: str, values: list[str], temporary: bool, verb: str) -> int:
    prop = TABLE.get(name.lower())
    if prop is None:
        dladm.warn(f"invalid link property '{name}'")
        return 1
    if not values:
        dladm.warn(f"no value specified for '{name}'")
        return 1
    try:
        if dladm.inside:
            raise Refused(MISSING)  # the owner is the global zone [network 3.5]
        dladm.need_privilege()
        value = prop.check(values) if verb == "set" and prop.check is not None and prop.writable else values[0]
        linkprops.change(dladm.world, link, prop, value, temporary, dladm.call.operate, dladm.call.half_way)
    except Refused as refused:
        if refused.status == "invalid value" and prop.possible:
            dladm.warn(f"link property '{name}' must be one of: {prop.possible}")
        else:
            dladm.warn(f"cannot {verb} link property '{name}' on '{link.name}'", refused.status)
        return 1
    return 0


def show_linkprop(dladm: Dladm) -> int:
    options, operands = dladm.options(
        ":p:cPo:", {"prop": "p", "parsable": "c", "parseable": "c", "persistent": "P", "output": "o"}
    )
    parsable, persistent = False, False
    wanted, zone = None, None
    given: list[str] = []
    for option in options:
        dladm.refuse_option(option)
        match option.letter:
            case "c":
                dladm.once(parsable, option)
                parsable = True
            case "P":
                dladm.once(persistent, option)
                persistent = True
            case "o":
                wanted = option.value
            case "p":
                given.append(option.value)
            case "z":
                zone = option.value
    if len(operands) > 1:
        dladm.usage()
    if operands:
        link = dladm.find(operands[0], zone)
        if link is None:
            dladm.die(f"link {operands[0]} is not valid", MISSING)
        links = [link]
    else:
        links = [each for each in datalinks.visible(dladm.world, zone or dladm.call.zone) if each.active]
    names = [name for text in given for name in text.split(",") if name]
    table = dladm.table(FIELDS, wanted, parsable, wrap=True)
    status = 0
    for link in links:
        for name in names or TABLE:
            if not _show_one(dladm, table, link, name, persistent, parsable, bool(names)):
                status = 1
    return status


def _show_one(
    dladm: Dladm, table: Table, link: Link, name: str, persistent: bool, parsable: bool, asked_for: bool
) -> bool:
    """False when the exit status is to be 1."""
    prop = TABLE.get(name.lower())
    try:
        if prop is None or dladm.inside:
            raise Refused(MISSING)
        value = link.stored_props.get(prop.name, "") if persistent else linkprops.active(dladm.world, link, prop)
    except Refused as refused:
        misfit = refused.status == "invalid argument"
        if misfit and (not parsable or not asked_for):
            return True
        dladm.warn(f"cannot get link property '{name}' for {link.name}", refused.status)
        if parsable:
            table.row(
                {"link": link.name, "property": name, "perm": None, "value": None, "default": None, "possible": None}
            )
        return False
    table.row(
        {
            "link": link.name,
            "property": prop.name,
            "perm": "rw" if prop.writable else "r-",
            "value": value,
            "default": linkprops.default(dladm.world, link, prop),
            "possible": linkprops.possible(dladm.world, link, prop),
        }
    )
    return True
