"""What an admin declared, checked as a whole, before anything is built. Pure."""

from __future__ import annotations

from zonehookd.config import Config
from zonehookd.declaration.gateways import gateways
from zonehookd.declaration.networks import networks
from zonehookd.errors import ConfigError
from zonehookd.model.gateway import Declaration


def declare(config: Config) -> Declaration:
    """Raises ConfigError naming every fault at once, with file, object, owner and way out."""
    found, faults = networks(config.network)
    ways, more = gateways(config.gateway, found)
    if faults or more:
        raise ConfigError("\n".join(config.origins.located(fault) for fault in [*faults, *more]))
    return Declaration(found, ways)
