"""What an admin declared, checked as a whole, before anything is built. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from zonehookd.config import Config
from zonehookd.declaration import provisioning
from zonehookd.declaration.gateways import gateways
from zonehookd.declaration.networks import networks
from zonehookd.errors import ConfigError
from zonehookd.model.gateway import Declaration, Gateway
from zonehookd.model.network import Network


def declare(config: Config) -> Declaration:
    """Raises ConfigError naming every fault at once, with file, object, owner and way out."""
    expanded = provisioning.expand(config)
    found, faults = networks(expanded.networks)
    ways, more = gateways(expanded.gateways, found)
    every = [*expanded.faults, *faults, *more, *_links_twice(found, ways)]
    if every:
        raise ConfigError("\n".join(config.origins.located(expanded.as_written(fault)) for fault in every))
    return Declaration(found, ways, tuple(config.provisioning))


def _links_twice(networks: Mapping[str, Network], gateways: Mapping[str, Gateway]) -> Iterator[str]:
    """A link that is named for one thing is not named for another."""
    named = [(each.link, f"network.{name}") for name, each in networks.items()]
    named += [(each.gateway_link, f"network.{name}.gateway_link") for name, each in networks.items()]
    named += [(each.link, f"gateway.{name}.link") for name, each in gateways.items()]
    owners: dict[str, str] = {}
    for link, key in named:
        owner = owners.setdefault(link, key) if link else key
        if owner != key and key.endswith("link"):  # several external networks may share an uplink
            yield f"{key}: {link} is the link of {owner} already (hint: give it another name)"
