"""The declaration in force, kept over restarts: a new one that cuts off zones is refused, also at a start."""

from __future__ import annotations

import json
import time
from pathlib import Path

from pydantic import ValidationError

from zonehookd.config import Config
from zonehookd.declaration import declare
from zonehookd.engine.look import Look
from zonehookd.engine.on_links import on_links
from zonehookd.engine.site import Site
from zonehookd.errors import CannotObserve, ConfigError, ZonehookError
from zonehookd.guard.cuts import Links, cuts
from zonehookd.host.doors import Files
from zonehookd.model.gateway import Declaration
from zonehookd.model.record import PERMIT, permitted
from zonehookd.store.store import Store

NAME = "declared.json"  # below [paths] state
_SECTIONS = {"network", "gateway", "provisioning"}
_SIZE_MAX_BYTES = 64 << 20


async def links(look: Look, before: Declaration, after: Declaration, site: Site) -> Links:
    """Who has a link on an etherstub, whatever his configuration says of it; nobody is looked for where that makes no
    difference, as when networks are added. Raises nothing: `blind` says why not."""
    if not cuts(before, after, site, (), Links(blind="not asked yet")):
        return Links()
    etherstubs = {network.link for network in site.networks.values() if network.internal}
    try:
        return Links(await on_links(look, site.zones, site.holders, etherstubs, thorough=True))
    except CannotObserve as problem:
        return Links(blind=str(problem))


def refuse_cuts(
    before: Declaration, after: Config, declared: Declaration, site: Site | None, links: Links, store: Store
) -> None:
    """Raises ConfigError when zones that are attached now would be so no more; `after` and `declared` are the new one.

    `site` None: nobody has looked yet, so nobody can tell.
    """
    if site is None:
        raise ConfigError(
            "who would be cut off cannot be told: no look has succeeded yet", hint="try again in a moment"
        )
    now = time.time()
    leave = {record.name.partition("/")[2] for record in store.of_kind(PERMIT) if permitted(record, now)}
    found = cuts(before, declared, site, leave, links)
    if found:
        way_out = f"zonehookctl guard permit --network {found[0].network} --for 10m --reason WHY"
        text = "\n".join(after.origins.located(str(each)) for each in found)
        first = "move or delete them first" if found[0].zones else "try again"
        raise ConfigError(text, hint=f"{first}; or {way_out}")


def keep(files: Files, state: Path, config: Config) -> None:
    """What is in force now. Raises OSError."""
    text = json.dumps(config.model_dump(mode="json", include=_SECTIONS), sort_keys=True)
    path = state / NAME
    try:
        if files.read(path, _SIZE_MAX_BYTES).decode() == text:
            return
    except (OSError, ValueError):
        pass
    files.write(path, text, 0o600)


def kept(files: Files, state: Path, config: Config) -> tuple[Config, Declaration] | None:
    """`config` with the sections that were in force last, and what they declare. None: none that can be read."""
    try:
        sections = json.loads(files.read(state / NAME, _SIZE_MAX_BYTES))
        if not isinstance(sections, dict):
            return None
        before = Config.model_validate({**sections, "site": config.site})
        return config.model_copy(update={name: getattr(before, name) for name in _SECTIONS}), declare(before)
    except (OSError, ValueError, ValidationError, ZonehookError):
        return None
