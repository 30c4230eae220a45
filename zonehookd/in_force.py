"""The configuration in force: taken at a start and at a reload, refused where it would cut somebody off."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable
from pathlib import Path

from zonehookd import log
from zonehookd.answers import Condition
from zonehookd.bus.messages import ReloadReply
from zonehookd.checked import Checked, check
from zonehookd.engine.abroad import ForeignPlans
from zonehookd.engine.dispatcher import Dispatcher
from zonehookd.engine.look import Look
from zonehookd.engine.reconciler import Reconciler
from zonehookd.errors import CannotObserve, ConfigError, ZonehookError
from zonehookd.guard import declared as declared_before
from zonehookd.guard.cuts import Links
from zonehookd.host.doors import Files
from zonehookd.metrics import Metrics
from zonehookd.model.gateway import Declaration
from zonehookd.store.store import Store

AT_NEXT_START = ("paths", "commands", "timing", "metrics", "events", "site")  # a reload leaves them as they are


class InForce:
    """`config` and `declared` as they are now. `changed` is called after each change."""

    def __init__(
        self,
        file: Path,
        checked: Checked,
        dispatcher: Dispatcher,
        make_look: Callable[[], Look],
        files: Files,
        store: Store,
        condition: Condition,
        metrics: Metrics,
    ) -> None:
        self.config, self.declared = checked.config, checked.declared
        self.changed: Callable[[], None] = lambda: None
        self.takes: Callable[[Checked], None] = lambda checked: None  # is told of what is taken, before anybody looks
        self.elsewhere: ForeignPlans | None = None  # who asks plugins in workers
        self._file = file
        self._alone = asyncio.Lock()
        self._dispatcher = dispatcher
        self._make_look = make_look
        self._files = files
        self._store = store
        self._condition = condition
        self._metrics = metrics
        self._log = log.get()

    async def hold_on(self) -> None:
        """A declaration that was edited while we were down cuts off nobody either: then the one before stays. Raises
        CannotObserve: whom it cuts off cannot be seen now, and is asked again."""
        last = declared_before.kept(self._files, self.config.paths.state, self.config)
        if last is None:
            if self._files.stamp(file := self.config.paths.state / declared_before.NAME) is not None:
                self._log.error("declaration before not readable: nobody knows what this one cuts off", file=str(file))
            self.keep()
            return
        config, before = last
        if before != self.declared:
            look = self._make_look()
            site = (await self._dispatcher.survey.take(look, before, time.monotonic())).site
            links = await declared_before.links(look, before, self.declared, site)
            try:
                declared_before.refuse_cuts(before, self.config, self.declared, site, links, self._store)
            except ConfigError as problem:
                if links.blind:
                    raise CannotObserve(links.blind) from problem
                self._log.error("configuration refused, the one before stays", error=str(problem))
                self._condition.config_error = str(problem)
                self._metrics.config_refused()
                self.config, self.declared = config, before
        self.keep()

    def keep(self) -> None:
        try:
            declared_before.keep(self._files, self.config.paths.state, self.config)
        except OSError as problem:
            self._log.error("declaration not kept: a start will not know what it cuts off", error=str(problem))

    async def reload(self) -> ReloadReply:
        """Networks, plugins and their options, and the log level change. Raises what is wrong: the old stay then."""
        try:
            async with self._alone:  # else who read the file first might be the last to take it
                checked = check(self._file)
                await self._refuse_cuts(checked)
                return self._take(checked)
        except ZonehookError as problem:
            self._log.error("configuration refused, the old one stays", error=str(problem))
            self._condition.config_error = str(problem)
            self._metrics.config_refused()
            raise

    async def edited(self) -> Declaration:
        """The declaration as the file is now. Raises ConfigError, also when `reload` would refuse it."""
        checked = check(self._file)
        await self._refuse_cuts(checked)
        return checked.declared

    async def _refuse_cuts(self, checked: Checked) -> None:
        """By who is attached at this moment; by the last look where that cannot be seen. Before the first look
        everything is still to be seen, also by whoever cannot wait for it."""
        site, links = self._dispatcher.survey.site, Links()
        if site is not None and checked.declared != self.declared:
            look = self._make_look()
            with contextlib.suppress(CannotObserve):
                site = (await self._dispatcher.survey.take(look, self.declared, time.monotonic())).site
            links = await declared_before.links(look, self.declared, checked.declared, site)
        declared_before.refuse_cuts(self.declared, checked.config, checked.declared, site, links, self._store)

    def _take(self, checked: Checked) -> ReloadReply:
        config, declared, plugins = checked.config, checked.declared, checked.plugins
        waiting = [section for section in AT_NEXT_START if getattr(config, section) != getattr(self.config, section)]
        for section in waiting:
            self._log.warning("takes effect at the next start", section=section)
        log.set_up(config.log.level, config.log.format)
        self.config = config.model_copy(update={"site": self.config.site})
        self._condition.config_error = ""
        self._metrics.config_taken()
        self._metrics.has([*(plugin.name for plugin in plugins), *(spec.name for spec in checked.foreign)])
        self.declared = declared
        self.keep()
        self.changed()
        self.takes(checked)
        self._dispatcher.reconciler = Reconciler(plugins, self._metrics.called, self.elsewhere)
        self._dispatcher.declare(declared)
        self._log.info("configuration taken", networks=len(declared.networks), plugins=(names := checked.names))
        return ReloadReply(
            config=str(self._file),
            networks=len(declared.networks),
            gateways=len(declared.gateways),
            plugins=names,
            at_next_start=waiting,
        )
