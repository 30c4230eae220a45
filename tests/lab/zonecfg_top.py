"""`set` and `clear` of the zone's own properties [zones 4.3, 4.5]."""

from __future__ import annotations

import re

from lab.zonecfg_model import ALIASES, TOP, BadValue, amount
from lab.zonecfg_session import Session
from lab.zonexml import Resource, ZoneConfig

NOT_CLEARED = ("zonename", "zonepath", "brand")


def _refusal(name: str, value: str) -> str:
    """Why `value` is no value for `name`, "" when it is."""
    if name == "zonepath":
        if not value.startswith("/"):
            return f"{value} is not an absolute path."
        if value.rstrip("/") == "":
            return "/ is not allowed as a zonepath."
    if name == "autoboot" and value not in ("true", "false"):
        return "autoboot value must be 'true' or 'false'."
    if name == "ip-type" and value not in ("shared", "exclusive"):
        return "ip-type value must be 'shared' or 'exclusive'."
    if name == "hostid" and not re.fullmatch(r"(0x)?[0-9a-fA-F]{1,8}", value):
        return f"{value}: Invalid argument"
    if name == "bootargs" and len(value.encode()) >= 256:
        return f"{value}: Argument list too long"
    return ""


def set_top(session: Session, config: ZoneConfig, name: str, value: str) -> None:
    if name in ("zonepath", "brand") and session.installed():
        session.say(f"Zone {session.zone} already installed; set {name} not allowed.")
        return
    if name in ALIASES:
        _set_alias(session, config, name, value)
        return
    refusal = _refusal(name, value)
    if refusal:
        session.error(refusal)
        return
    if name == "ip-type" and value == "shared":
        config.attributes.pop(name, None)
    else:
        config.attributes[name] = value
    session.need_to_commit = True


def _set_alias(session: Session, config: ZoneConfig, alias: str, value: str) -> None:
    rctl, action = ALIASES[alias]
    try:
        limit = amount(value, scaled=alias == "max-shm-memory")
    except BadValue as bad:
        session.error(str(bad))
        return
    simple = Resource("rctl-value", {"priv": "privileged", "limit": limit, "action": action})
    for each in config.of("rctl"):
        if each.get("name") == rctl:
            if len(each.children) > 1:
                session.error(f"{session.zone}: An incompatible rctl already exists for this property")
                return
            each.children = [simple]
            break
    else:
        config.resources.append(Resource("rctl", {"name": rctl}, [simple]))
    session.need_to_commit = True


def clear_top(session: Session, config: ZoneConfig, name: str) -> bool:
    """False for a word that is no property."""
    if name in NOT_CLEARED:
        session.error(f"{session.zone}: Clearing this property is not allowed")
    elif name in ALIASES:
        rctl = ALIASES[name][0]
        config.resources = [each for each in config.resources if not (each.tag == "rctl" and each.get("name") == rctl)]
        session.need_to_commit = True
    elif name in TOP:
        if name == "autoboot":
            config.attributes[name] = "false"
        else:
            config.attributes.pop(name, None)
        session.need_to_commit = True
    else:
        return False
    return True
