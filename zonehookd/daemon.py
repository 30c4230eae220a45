"""The only place where parts are built and joined: one task group, the signals, the end."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import os
import signal
import time
from collections.abc import Callable, Collection, Coroutine
from dataclasses import asdict
from pathlib import Path
from typing import TypeVar

import zmq
import zmq.asyncio

from zonehookd import log, metrics
from zonehookd.answers import Answers, Condition
from zonehookd.bus.announcements import DaemonData
from zonehookd.bus.control import ControlServer
from zonehookd.bus.doorstep import Doorstep
from zonehookd.bus.messages import ReloadReply
from zonehookd.bus.publisher import HEARD_BY, Publisher
from zonehookd.bus.remote import Remote
from zonehookd.checked import check
from zonehookd.config import Config
from zonehookd.engine.abroad import ForeignPlans
from zonehookd.engine.applier import Applier
from zonehookd.engine.dispatcher import Dispatcher
from zonehookd.engine.late import Late
from zonehookd.engine.listeners import Listener
from zonehookd.engine.look import Look
from zonehookd.engine.reclaim import reclaim
from zonehookd.engine.reconciler import Reconciler
from zonehookd.engine.survey import Survey
from zonehookd.engine.timing import Timing
from zonehookd.errors import CannotObserve, ConfigError, ZonehookError
from zonehookd.footing import Footing
from zonehookd.foreign.answers import PluginAnswers
from zonehookd.foreign.tools import Tools as WorkerTools
from zonehookd.foreign.workers import ForeignWorkers
from zonehookd.gate.gate import Gate
from zonehookd.gate.gate import Tools as GateTools
from zonehookd.guard.answers import GuardAnswers
from zonehookd.guard.guard import Guard, Tools
from zonehookd.hooked import Hooked
from zonehookd.host.audit import Audit
from zonehookd.host.local import LocalFiles, LocalHost
from zonehookd.host.process import Limits, Processes
from zonehookd.illumos import dladm
from zonehookd.in_force import InForce
from zonehookd.lines import Lines, given_leave
from zonehookd.model.event import Event
from zonehookd.model.outcome import Result
from zonehookd.model.record import RESTORE
from zonehookd.provisioning import answers as provisioning
from zonehookd.routes.answers import RouteAnswers
from zonehookd.routes.drain import Draining
from zonehookd.sources.health import Health
from zonehookd.sources.poll import Poll
from zonehookd.sources.source import Source, supervise
from zonehookd.sources.zone_channel import ZoneChannel
from zonehookd.sources.zone_files import ZoneFiles
from zonehookd.supervisor import Supervisor
from zonehookd.tracing.answers import TraceAnswers
from zonehookd.tracing.timeline import Timeline
from zonehookd.traffic import METRICS as TRAFFIC
from zonehookd.traffic import Traffic
from zonehookd.trial.answers import TrialAnswers

Socket = TypeVar("Socket")
_PLUGINS_S = 5.0  # that are just starting are waited for, before we say that we are ready
_HUNG_S = 60.0  # without a beat of the loop: /healthz says no


class Daemon:
    """Raises ConfigError or PluginRefused while it is built; then `run` until told to stop."""

    def __init__(self, file: Path) -> None:
        os.umask(0o077)  # what we make is ours alone from its first moment; files that plugins write say their mode
        self._file = file
        checked = check(file)
        config = checked.config
        log.set_up(config.log.level, config.log.format)
        self._log = log.get()
        self._supervisor = Supervisor()
        self._metrics = metrics.Metrics(config.metrics.zones_max, config.timing.full_look_s)
        self._footing = Footing(config.paths.state, self._log)
        self._store = self._footing.store
        self._audit = Audit(config.paths.audit)
        self._store.took = self._metrics.committed
        self._condition = Condition(file, self._store.rebuilt)
        commands, timing = config.commands, config.timing
        self._processes = Processes(commands.search_path, Limits(commands.output_max_bytes, commands.parallel))
        self._host = LocalHost(self._processes, self._audit, self._metrics.ran)
        self._files = LocalFiles()
        self._dialect = dladm.Dialect()
        self._late = Late(lambda zone: self._dispatcher.hint(Event("zone", "answered", zone=zone)))
        self._health = Health(self._host)
        config.paths.run.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._context = zmq.asyncio.Context()
        self._publisher = _bound(lambda: self._publishes(config), config.paths.run)
        self._beat_s = time.monotonic()
        self._hung_up = False
        self._reloading: asyncio.Future[None] | None = None
        self._lines = Lines(self._log)
        self._timeline = Timeline()
        self._listeners: list[Listener] = [self._lines, self._metrics, self._publisher, self._condition, self._timeline]
        self._workers = ForeignWorkers(self._tools_of_workers(config), checked.foreign, checked.names)
        elsewhere = ForeignPlans(self._workers, lambda subject: self._dispatcher.again(subject))
        self._dispatcher = Dispatcher(
            self._look,
            self._store,
            Survey(config.paths.zones, config.timing.absence_s),
            Reconciler(checked.plugins, self._metrics.called, elsewhere),
            Applier(self._host, self._files, self._store, lambda: self._dispatcher.stopping),
            Timing(timing.full_look_s, timing.pace_s, timing.retry_max_s, self._supervisor.heartbeat_s),
            self._listeners,
            self._beat,
        )
        shown = (self._condition, self._metrics)
        self._in_force = InForce(file, checked, self._dispatcher, self._look, self._files, self._store, *shown)
        self._in_force.elsewhere = elsewhere
        self._in_force.takes = lambda checked: self._workers.take(checked.foreign, checked.names)
        self._condition.plugins = self._workers.trouble
        self._metrics.show_workers(self._workers.counts)
        self._metrics.show_resources(self._store.all, self._dispatcher.latest)
        round_trip = functools.partial(self._metrics.round_trip, ZoneChannel.name)
        channel = ZoneChannel(heartbeat_s=config.timing.heartbeat_s, took=round_trip)
        files, poll = ZoneFiles(config.paths.zones, config.timing.files_s), Poll(config.timing.poll_s)
        self._sources: list[Source] = [channel, files, poll, self._health]
        self._metrics.show_channel(channel.name, lambda: asdict(channel.counts))
        self._metrics.has(checked.names, (each.name for each in self._sources))
        heart = (self._dispatcher, self._look, self._store)
        leave = functools.partial(given_leave, self._log, self._audit)
        draining = Draining(self._dispatcher, self._store)
        routes = RouteAnswers(self._dispatcher, self._store, draining, leave)
        self._metrics.show_routes(routes.counted)
        answers = Answers(*heart, self._condition, self._reload_now, self._in_force.edited, routes)
        tracing = TraceAnswers(*heart, self._timeline, routes.of_zone)
        us = provisioning.Daemon(file, lambda: self._in_force.config, self.reload)
        more = provisioning.Provisioning(us, self._dispatcher, self._look, self._files, self._store)
        told = (self._metrics.judged, self._lost, self._lines.used_up)
        tools = Tools(*heart, self._files, config.paths.state, lambda: self._in_force.config.guard, *told)
        self._guard = Guard(tools)
        self._listeners += [self._guard, draining]
        self._in_force.changed = self._changed
        guarding = GuardAnswers(self._guard, tools, leave, lambda brand: self._gate.stands_in(brand))
        own = (self._dispatcher, self._processes, self._audit, self._store, self._workers)
        self._hooked = Hooked(*own, (self._metrics, self._timeline, self._publisher), lambda: self._in_force.config)
        self._listeners.append(self._hooked.hooks)
        gate = GateTools(
            self._dispatcher, self._look, self._host, config.paths.state, config.paths.run,
            lambda: self._in_force.config.guard.boot, self._guard.check, draining.before_halt,
            self._metrics.gate_answered, self._metrics.gate_alone,
            lambda: not self._condition.hears(ZoneChannel.name),
            hooks=self._hooked.asked, stopping=self._guard.zones_are_stopping,
        )  # fmt: skip
        self._gate = _bound(lambda: Gate(gate), config.paths.run)
        self._condition.without_gate = self._gate.missing
        self._show_numbers()
        self._traffic = self._reads_traffic(config)
        plugins = PluginAnswers(lambda: self._dispatcher.reconciler.plugins, self._workers)
        trials = TrialAnswers(self._dispatcher, self._workers, self._look, lambda: self._in_force.config.plugins)
        asked = (answers, tracing, more, guarding, routes, self._publisher, self._gate, self._hooked, plugins, trials)
        handlers = {verb: handler for each in asked for verb, handler in each.handlers().items()}
        control = config.paths.run / "control.sock"
        self._control = _bound(lambda: ControlServer(self._context, control, handlers), config.paths.run)
        besides = (self._workers.open_folders, self._hooked.hooks.note_boot)
        self._doors = Doorstep((self._control, self._publisher, self._gate.door), besides, self._log)

    def _tools_of_workers(self, config: Config) -> WorkerTools:
        def changed(kind: str, plugin: str) -> None:
            self._dispatcher.hint(Event("plugin", kind, everything=True, text=plugin))

        up, down = functools.partial(changed, "ready"), functools.partial(changed, "down")
        folder, took = config.paths.run / "plugins", self._metrics.call_took
        return WorkerTools(self._context, self._processes, folder, self._look, self._log, up, down, took)

    def _reads_traffic(self, config: Config) -> Traffic | None:
        told = config.metrics
        if not (told.listen and told.traffic):
            return None
        traffic = Traffic(self._host, lambda: self._dispatcher.survey.site, told.traffic_s, told.links_max, self._log)
        self._metrics.ask(TRAFFIC, traffic.answers)
        return traffic

    def _publishes(self, config: Config) -> Publisher:
        told = config.events
        remote = Remote(told.listen, told.keys, told.queue, self._let_in) if told.listen else None
        path = config.paths.run / "events.sock"
        return Publisher(self._context, path, queue=told.queue, pulse_s=told.pulse_s, remote=remote)

    def _let_in(self, name: str) -> None:
        self._log.info("subscriber let in", key=name)

    def _changed(self) -> None:
        """The configuration was taken; with it the keys, which were good a moment ago."""
        self._guard.refresh()
        with contextlib.suppress(ConfigError):
            self._publisher.take_keys()

    def _show_numbers(self) -> None:
        ask = self._metrics.ask_number
        ask("books_size_bytes", lambda: self._store.size_bytes)
        ask("audit_lines_lost_total", lambda: self._audit.lost)
        ask("listener_failures_total", lambda: self._dispatcher.deaf)
        ask("brands_without_gate", lambda: self._gate.without)
        self._metrics.ask(HEARD_BY, self._publisher.numbers)

    def _look(self) -> Look:
        own = (self._dialect, self._in_force.config.site, self._late, self._health)
        return Look(self._host, self._files, self._store, *own)

    def _beat(self) -> None:
        self._beat_s = time.monotonic()
        self._supervisor.beat()
        latest = self._dispatcher.latest.values()
        busy = sum(outcome.result not in (Result.NOOP, Result.CHANGED) for outcome in latest)
        self._supervisor.status(f"{len(latest)} subjects, {busy} in trouble, {self._condition.working} at work")

    async def run(self) -> None:
        """Subscribes first, then looks; returns when told to stop and the running steps are finished."""
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGTERM, self._stop)
        loop.add_signal_handler(signal.SIGINT, self._stop)
        loop.add_signal_handler(signal.SIGHUP, self._hangup)
        loop.add_signal_handler(signal.SIGUSR1, self._reopen)
        self._supervisor.when_lost(loop, self._orphaned)
        server = None
        if self._in_force.config.metrics.listen:
            server = metrics.serve(
                self._in_force.config.metrics.listen,
                self._metrics,
                alive=lambda: time.monotonic() - self._beat_s < _HUNG_S,
                ready=lambda: self._condition.ready,
            )
        try:
            async with asyncio.TaskGroup() as tasks:
                asked = (self._control, self._publisher, self._guard, self._doors)
                aside = [tasks.create_task(each.run()) for each in asked]
                aside.append(tasks.create_task(self._footing.run(self._in_force.keep, self._stop)))
                await self._patiently(self._learn_dialect)
                aside += [tasks.create_task(self._source(source)) for source in self._sources]
                await self._subscribed()
                await self._patiently(self._reclaim)
                await self._patiently(self._in_force.hold_on)
                self._dispatcher.declare(self._in_force.declared)
                self._workers.begin()
                self._guard.begin()
                self._hooked.hooks.begin()
                aside.append(tasks.create_task(self._hooked.hooks.run()))
                aside += [tasks.create_task(self._gate.run()), tasks.create_task(self._say_ready())]
                if self._traffic is not None:
                    aside.append(tasks.create_task(self._traffic.run()))
                await self._dispatcher.run()
                await self._late.stop()
                await self._hooked.hooks.stop()
                for task in aside:
                    task.cancel()
        finally:
            await self._workers.stop()
            if server is not None:
                server.shutdown()
                server.server_close()
            self._gate.close()
            self._control.close()
            self._publisher.close()
            self._context.term()
            self._doors.close()
            self._audit.close()
            self._footing.close()
            self._log.info("stopped")

    async def _source(self, source: Source) -> None:
        await supervise(source, self._dispatcher.hint, self)

    async def _subscribed(self) -> None:
        """Until every source has said yes or no, or two seconds: the list comes after the subscription."""
        names = {source.name for source in self._sources}
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(2.0):
                while not names <= self._condition.sources.keys():
                    await asyncio.sleep(0.01)

    async def _patiently(self, seeing: Callable[[], Coroutine[None, None, None]]) -> None:
        """Tried again until the host answers, for the daemon may start before dlmgmtd does."""
        while not self._dispatcher.stopping:
            try:
                await self._dispatcher.until_stopped(seeing())
                return
            except CannotObserve as problem:
                self._log.error("cannot look", error=str(problem))
                self._condition.blind(str(problem))
                self._supervisor.status(str(problem))
                await asyncio.sleep(1.0)

    async def _learn_dialect(self) -> None:
        self._dialect = await self._look().ask(dladm.probe_dialect())

    async def _reclaim(self) -> None:
        """The books were lost or never were: ask each plugin what bears its mark, and say so loudly."""
        if not self._store.rebuilt:
            return
        look = self._look()
        taken = await self._dispatcher.survey.take(look, self._in_force.declared, time.monotonic())
        plugins = self._dispatcher.reconciler.plugins
        found = await reclaim(look, taken.site, plugins, self._store, self._log)
        loud = bool(found) or "unreadable" in self._store.rebuilt
        self._condition.rebuilt = self._store.rebuilt if loud else ""  # a first start has no books to lose
        say = self._log.warning if loud else self._log.info
        say("records begun anew", why=self._store.rebuilt, reclaimed=found)

    async def _say_ready(self) -> None:
        await self._workers.decided(_PLUGINS_S)
        await self._patiently(self._dispatcher.settled)
        if self._hung_up:
            await self._quietly()
            await self._patiently(self._dispatcher.settled)
        self._condition.ready = True
        self._metrics.is_ready()
        self._supervisor.ready()
        self._log.info("ready", subjects=len(self._dispatcher.latest))
        self._publisher.say(DaemonData(ready=True))

    # -- SourceListener, for all of ours

    def source_up(self, name: str, text: str) -> None:
        self._log.info("source up", source=name, **({"by": text} if text else {}))
        for listener in (self._metrics, self._publisher, self._condition):
            listener.source_up(name, text)

    def source_down(self, name: str, reason: str, final: bool) -> None:
        self._log.warning("source down", source=name, reason=reason, again=not final)
        for listener in (self._metrics, self._publisher, self._condition):
            listener.source_down(name, reason, final)

    # -- signals

    def _stop(self) -> None:
        self._log.info("stopping")
        self._supervisor.stopping()
        self._processes.begin_no_change()
        self._dispatcher.stop()

    def _orphaned(self) -> None:
        self._log.error("the warden is gone: stopping, so that our supervisor starts us again")
        self._stop()

    def _hangup(self) -> None:
        if self._dispatcher.survey.site is None:  # whom it cuts off is known after the first look
            self._hung_up = True
        else:
            self._reloading = asyncio.ensure_future(self._quietly())

    async def _quietly(self) -> None:
        with contextlib.suppress(ZonehookError):  # it has been logged, and status says it
            await self._reload_now()

    async def reload(self) -> ReloadReply:
        """As `InForce.reload`; then whoever started us is told that we are ready again."""
        self._supervisor.reloading()
        try:
            return await self._in_force.reload()
        finally:
            self._reopen()
            if self._condition.ready:
                self._supervisor.ready()

    def _reopen(self) -> None:
        """After a rotation of the audit log, which must not take a configuration that nobody has asked us to take."""
        try:
            self._audit.reopen()
        except OSError as problem:
            self._log.error("audit log not reopened, the old one goes on", error=str(problem))

    def _lost(self, gateways: Collection[str]) -> None:
        self._metrics.lost(len(gateways))
        self._lines.lost([name for name in gateways if self._store.one(RESTORE, name) is None])

    async def _reload_now(self) -> ReloadReply:
        """`reload`; then what became of plugins in workers."""
        reply = await self.reload()
        await self._workers.decided(_PLUGINS_S)
        return reply.model_copy(update={"not_well": self._workers.trouble()})


def _bound(make: Callable[[], Socket], folder: Path) -> Socket:
    try:
        return make()
    except (zmq.ZMQError, OSError) as problem:
        raise ConfigError(f"cannot make a socket in {folder}: {problem}", hint="see [paths] run") from problem
