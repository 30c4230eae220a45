"""What `zonehookctl provisioning` asks: setup, status, teardown. One at a time, and each may be asked again."""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from zonehookd.bus.control import Handler
from zonehookd.bus.messages import ProvisioningReply, ProvisioningRow, ProvisioningWish, Request
from zonehookd.config import Config
from zonehookd.declaration import provisioning
from zonehookd.engine.dispatcher import Dispatcher
from zonehookd.engine.look import Look
from zonehookd.errors import ConfigError, NotFound, ZonehookError
from zonehookd.host.doors import Files
from zonehookd.illumos import dladm, ipadm, route
from zonehookd.model import subject
from zonehookd.model.gateway import GLOBAL
from zonehookd.provisioning import drop_in, status, uplink
from zonehookd.store.store import Store

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,30}", re.ASCII)  # as a network may be called
_WORKING_MAX_S = 60.0  # services start and stop behind our back: how long they are waited for,
_STILL_S = 5.0  # while something goes on, and so long after
_ASK_AGAIN_S = 0.5
_SIZE_MAX_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Daemon:
    """What of the daemon is needed: its file, the configuration in force, and how to take a new one."""

    file: Path
    config: Callable[[], Config]
    reload: Callable[[], Awaitable[object]]


class Provisioning:
    def __init__(
        self, daemon: Daemon, dispatcher: Dispatcher, make_look: Callable[[], Look], files: Files, store: Store
    ) -> None:
        self._daemon = daemon
        self._dispatcher = dispatcher
        self._make_look = make_look
        self._files = files
        self._store = store
        self._alone = asyncio.Lock()

    def handlers(self) -> dict[str, Handler]:
        return {
            "provisioning-setup": self.setup,
            "provisioning-status": self.status,
            "provisioning-teardown": self.teardown,
        }

    # -- the verbs

    async def setup(self, request: Request) -> ProvisioningReply:
        """Declares it, applies it, and waits for its services. Raises ZonehookError; then nothing is declared anew."""
        name = request.network or provisioning.DEFAULT_NAME
        if not _NAME.fullmatch(name):
            raise ZonehookError(f"{name!r} is no name for a network", hint="letters, digits, _ and -, a letter first")
        async with self._alone:
            file = drop_in.place(self._daemon.file, name)
            before = self._read(file)
            text = await self._declare(name, request.wish or ProvisioningWish())
            clock = asyncio.get_running_loop().time
            began_s = still_s = clock()
            while True:
                await self._dispatcher.settled()
                latest = self._dispatcher.latest.get(subject.network(name))
                refused = next((note for note in latest.notes if note.kind == "refused"), None) if latest else None
                if refused is not None:
                    await self._swap(file, self._read(file), before)
                    raise ZonehookError(refused.text, hint=refused.hint)
                reply, moving = await self._reply([name], text)
                if moving:
                    still_s = clock()
                late = clock() > min(began_s + _WORKING_MAX_S, still_s + _STILL_S)
                if reply.networks[0].ready or late or not (moving or _nearly(reply.networks[0])):
                    return reply
                await asyncio.sleep(_ASK_AGAIN_S)

    async def status(self, request: Request) -> ProvisioningReply:
        reply, _ = await self._reply([request.network] if request.network else self._declared(), "")
        return reply

    async def teardown(self, request: Request) -> ProvisioningReply:
        """Refuses while zones are attached. Raises ZonehookError, also when something of ours could not go yet."""
        async with self._alone:
            name = self._the_one(request.network)
            site, _ = await self._dispatcher.dry_run()
            if zones := status.attached(site, name):
                raise ZonehookError(
                    f"provisioning network {name} is in use by {_zones(zones)}",
                    hint="take their NICs off it first, or delete them",
                )
            file = drop_in.place(self._daemon.file, name)
            if (where := self._where(name)) != file:
                raise ZonehookError(f"provisioning network {name} is declared in {where}", hint="take it out there")
            network = self._dispatcher.declared.networks[name]
            await self._swap(file, self._read(file), None)
            await self._dispatcher.settled()
            await self._gone(name)
            links = await self._foreign(network.link, network.gateway_link)
            left = f"; not ours, so still there: {', '.join(links)}" if links else ""
            return ProvisioningReply(networks=[], text=f"provisioning network {name} is taken down{left}")

    # -- declaring

    async def _declare(self, name: str, wish: ProvisioningWish) -> str:
        """Writes the drop-in if it must be, and reloads. What was done, in words."""
        file = drop_in.place(self._daemon.file, name)
        where = self._where(name)
        said = wish.model_dump(exclude_defaults=True)
        if where not in (None, file):
            if said:
                raise ZonehookError(f"provisioning network {name} is declared in {where}", hint="change it there")
            return f"provisioning network {name} is declared in {where}"
        before = self._read(file)
        old = drop_in.section(before, name, file)
        values = {**(await self._found(name, wish, old)), **said}
        after = drop_in.written(before, name, values, file)
        if after == before and where == file:
            return f"provisioning network {name} is declared in {file} already"
        if where is not None:
            await self._keeps_its_zones(name, values, old)
        await self._swap(file, before, after)
        return f"provisioning network {name} is declared in {file}"

    async def _found(self, name: str, wish: ProvisioningWish, old: Mapping[str, Any]) -> dict[str, Any]:
        """The way out and the resolvers, where neither the wish nor any file says them."""
        config = self._daemon.config()
        others = [each for other, each in config.provisioning.items() if other != name]
        declared = config.gateway.get(GLOBAL)
        found: dict[str, Any] = {}
        look = self._make_look()
        fixed = declared is not None and declared.outside is not None
        shared = next((each for each in others if each.uplink or each.outside), None)
        if wish.uplink is None and shared is not None and not old:  # each tenant says it, so that each may go alone
            found = shared.model_dump(include={"uplink", "uplink_cidr", "outside"}, exclude_none=True)
        elif wish.uplink is not None or not (fixed or "uplink" in old or "outside" in old):
            routes, addresses = await look.ask(route.default_routes()), await look.ask(ipadm.addresses())
            way = uplink.way_out(wish.uplink, routes, addresses)
            found = {"uplink": way.link, "uplink_cidr": way.cidr}
        if not (wish.upstream or "upstream" in old or (declared is not None and declared.upstream)):
            asked = next((each.upstream for each in others if each.upstream), None)
            asked = asked or uplink.resolvers(look.read_file(Path(uplink.RESOLV_CONF)))
            found |= {"upstream": asked} if asked else {}
        return found

    async def _keeps_its_zones(self, name: str, values: Mapping[str, Any], old: Mapping[str, Any]) -> None:
        """Raises ZonehookError when zones would lose the range that their addresses are in (contract A10)."""
        if "cidr" not in values or values["cidr"] == old.get("cidr", self._daemon.config().provisioning[name].cidr):
            return
        site, _ = await self._dispatcher.dry_run()
        if zones := status.attached(site, name):
            raise ZonehookError(
                f"the range of provisioning network {name} cannot change: it is in use by {_zones(zones)}",
                hint="take their NICs off it first",
            )

    def _where(self, name: str) -> Path | None:
        """The file that declares it, as far as the configuration in force knows."""
        config = self._daemon.config()
        if name not in config.provisioning:
            return None
        return config.origins.of.get(f"provisioning.{name}")

    def _read(self, file: Path) -> str | None:
        try:
            return self._files.read(file, _SIZE_MAX_BYTES).decode()
        except FileNotFoundError:
            return None
        except (OSError, ValueError) as problem:
            raise ConfigError(f"{file}: cannot read it: {problem}") from problem

    async def _swap(self, file: Path, before: str | None, after: str | None) -> None:
        """The new content in force, or the old one where it was and the reason raised. None: no file."""
        try:
            self._put(file, after)
        except OSError as problem:
            raise ConfigError(f"{file}: cannot write it: {problem}") from problem
        try:
            await self._daemon.reload()
        except ZonehookError:
            with contextlib.suppress(OSError):
                self._put(file, before)
            with contextlib.suppress(ZonehookError):  # or status would go on saying that the configuration is wrong
                await self._daemon.reload()
            raise

    def _put(self, file: Path, content: str | None) -> None:
        if content is None:
            self._files.remove(file)
        else:
            self._files.write(file, content, 0o644)

    # -- asking

    def _declared(self) -> list[str]:
        names = list(self._dispatcher.declared.provisioning)
        if not names:
            raise ZonehookError("no provisioning network is declared", hint="zonehookctl provisioning setup")
        return names

    def _the_one(self, name: str | None) -> str:
        names = self._declared()
        if name is None and len(names) > 1:
            raise ZonehookError(f"which one? there are {', '.join(names)}")
        if name is not None and name not in names:
            raise NotFound(f"there is no provisioning network {name!r}", hint=f"there are: {', '.join(names)}")
        return name or names[0]

    async def _reply(self, names: list[str], text: str) -> tuple[ProvisioningReply, bool]:
        """And whether something is still going on: steps to come, or somebody waits."""
        for name in names:
            self._the_one(name)
        site, plans = await self._dispatcher.dry_run()
        look = self._make_look()
        enabled = {each.name for each in self._dispatcher.reconciler.plugins}
        rows = [await status.row(look, site, name, str(self._where(name) or ""), plans, enabled) for name in names]
        concerned = {subject.gateway(GLOBAL), subject.zone(GLOBAL), *(subject.network(name) for name in names)}
        moving = any(
            each.steps or any(note.kind == "waiting" for note in each.notes)
            for each in plans
            if each.subject in concerned
        )
        return ProvisioningReply(networks=rows, text=text), moving

    async def _gone(self, name: str) -> None:
        """Raises ZonehookError when something of ours is still there after a while: the daemon goes on trying."""
        owners = [subject.network(name)]
        if GLOBAL not in self._dispatcher.declared.gateways:
            owners += [subject.gateway(GLOBAL), subject.zone(GLOBAL)]
        deadline_s = asyncio.get_running_loop().time() + _WORKING_MAX_S
        while left := [f"{record.kind} {record.name}" for owner in owners for record in self._store.of(owner)]:
            if asyncio.get_running_loop().time() > deadline_s:
                raise ZonehookError(
                    f"provisioning network {name} is declared no more, and {', '.join(left)} could not go yet",
                    hint="zonehookctl status says why; the daemon tries again",
                )
            await asyncio.sleep(_ASK_AGAIN_S)
            await self._dispatcher.settled()

    async def _foreign(self, *names: str) -> list[str]:
        links = await self._make_look().ask(dladm.links())
        return [name for name in names if name in links]


def _nearly(network: ProvisioningRow) -> bool:
    """All is as declared, and something does not work yet: a server may have come up this very moment."""
    return all(each.exists and each.as_declared for each in network.components)


def _zones(names: list[str]) -> str:
    return f"zone {names[0]}" if len(names) == 1 else f"zones {', '.join(names)}"
