"""zoneadmd: the half of `zoneadm` that changes a zone's kernel state [zones 2.2, 2.3, 3.4-3.6, 3.12, 5.4].

One command at a time per zone (`world.zone_lock`), hooks included. What a hook prints and what goes wrong is collected
in an `Answer`, which the caller relays as ``zone 'z': LINE``.
"""

from __future__ import annotations

import io
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from weakref import WeakKeyDictionary

from lab.brands import Brand, InvalidBrand, TooLong, expand, joins_stderr, open_brand, run_text
from lab.call import Call
from lab.init_defaults import settings
from lab.kernel import KernelTrouble, create_kernel_zone, destroy_kernel_zone, kill_processes, start_init
from lab.smf import host as smf
from lab.world import Dialect, KernelZone, Refused, Status, World
from lab.zone_network import STALE_ERRNO, BringupFailed, bring_up, configure_addresses
from lab.zonefiles import INSTALLED, STATES, ZonecfgError, ZoneConfig, kernel_zone, load, snapshot_path, state_of
from lab.zonexml import parse, render

READY, BOOT, FORCEBOOT, REBOOT, HALT, SHUTDOWN = 0, 1, 2, 3, 4, 9
WORD = {READY: "ready", BOOT: "boot", FORCEBOOT: "boot", REBOOT: "reboot", HALT: "halt", SHUTDOWN: "shutdown"}
RELAYED = 4096  # bytes of text a client gets [zones 5.5]
ENVIRON: Mapping[str, str] = {"PATH": "/usr/sbin:/usr/bin", "_ZONEADM_LOCK_HELD": "1"}
STATE_HOOKS = ("prestatechange", "poststatechange")


@dataclass
class Answer:
    """What the door call hands back. `could_not_start`: the daemon refused before it was one."""

    status: int = 0
    text: str = ""
    could_not_start: bool = False

    def say(self, message: str) -> None:
        self.text = (self.text.encode() + message.encode() + b"\n")[:RELAYED].decode(errors="ignore")

    def lines(self) -> list[str]:
        return self.text.removesuffix("\n").split("\n") if self.text else []


@dataclass
class Daemon:
    """zoneadmd of one zone, for one command. Not `heard`: the request comes from the kernel."""

    world: World
    name: str
    call: Call
    brand: Brand
    config: ZoneConfig
    heard: bool = True
    answer: Answer = field(default_factory=Answer)

    # hooks ---------------------------------------------------------------------------------------------------
    def hook(self, element: str, *arguments: str) -> bool:
        """Run a brand hook if there is one; False when it failed. Its output goes to the answer, if that is heard."""
        text = self.brand.text(element)
        if not text:
            return True
        try:
            line = expand(text, self.name, self.config.zonepath) + "".join(" " + word for word in arguments)
        except TooLong:
            self.answer.say(f"unable to determine branded zone's {element} callback")
            return False
        both = joins_stderr(self.world)
        done = run_text(self.call, line, {**settings(self.world.root), **ENVIRON}, both)
        said = done.stdout.decode(errors="replace").splitlines() if self.heard else []
        for piece in said:
            self.answer.say(piece)
            if not both:
                self.answer.say("")  # gate keeps the line's own newline [zones 5.5]
        if done.returncode < 0:
            self.answer.say(f"{line} unexpectedly terminated due to signal {-done.returncode}")
        elif done.returncode == 4:
            self.answer.say(f"failed to exec {line}")
        return done.returncode == 0

    def prestate(self, state: int, command: int) -> bool:
        return self.hook("prestatechange", str(state), str(command), "")

    def poststate(self, state: int, command: int) -> bool:
        return self.hook("poststatechange", str(state), str(command), "")

    # the three moves -----------------------------------------------------------------------------------------
    def ready(self, state: int) -> bool:
        """Create the kernel zone and its virtual platform. False: failed; the post hook alone leaves it ready."""
        early = self.world.dialect is Dialect.OMNIOS  # snapshot before the hook [zones 2.7]
        self._reload()  # a reboot starts from the files again
        if early:
            self._take_snapshot()
        if not self.prestate(state, READY):
            if early:
                self._drop_snapshot()
            return False
        if not early:
            self._reload()
            self._take_snapshot()
        try:
            self.call.operate()
            zone = create_kernel_zone(self.world, self.config)
        except (Refused, KernelTrouble) as trouble:
            self.answer.say(f"unable to create zone: {trouble}")
            self._drop_snapshot()
            return self._not_ready()
        try:
            bring_up(self.world, zone, self.config, self.answer.say)
        except BringupFailed:
            self._destroy(zone)
            self._drop_snapshot()
            return self._not_ready()
        self.call.half_way()
        if self.poststate(state, READY):
            return True
        self._not_ready()
        if early:
            self._drop_snapshot()  # the zone is ready all the same, and goes by its file from now on
        return False

    def _not_ready(self) -> bool:
        self.poststate(STATES.index("ready"), HALT)
        return False

    def boot(self, state: int, arguments: list[str]) -> bool:
        if not self.prestate(state, BOOT):
            return False
        zone = kernel_zone(self.world, self.name)
        if zone is None or not self._boot(zone, state, arguments):
            self.poststate(STATES.index("running"), HALT)
            return False
        return True

    def _boot(self, zone: KernelZone, state: int, arguments: list[str]) -> bool:
        if not self.hook("boot"):
            return False
        running = self._snapshot()
        words = arguments or running.bootargs.split()
        try:
            start_init(self.world, zone, words, lambda: configure_addresses(self.world, zone, running))
        except Refused as trouble:
            self.answer.say(f"unable to boot zone: {trouble.status}")
            return False
        return self.poststate(state, BOOT)

    def halt(self, state: int) -> bool:
        """False: refused by a hook, or torn down only in part, or the post hook failed after all went well."""
        if not self.prestate(state, HALT):
            return False
        zone = kernel_zone(self.world, self.name)
        if zone is None:
            self._drop_snapshot()
            return False  # the clean-up of a boot that got nowhere
        try:
            self.call.operate()
        except Refused as trouble:
            self.answer.say(trouble.status)
            self.answer.say("unable to destroy zone")
            return False
        kill_processes(self.world, zone)
        self.call.half_way()
        if not self._destroy(zone):
            return False
        return self.poststate(state, HALT)

    def _destroy(self, zone: KernelZone) -> bool:
        try:
            destroy_kernel_zone(self.world, zone, lambda: self.hook("halt"))
        except KernelTrouble as trouble:
            if str(trouble):
                self.answer.say(str(trouble))
            self.answer.say("unable to destroy zone")
            return False
        self._drop_snapshot()
        return True

    # configuration -------------------------------------------------------------------------------------------
    def _reload(self) -> None:
        self.config = load(self.world, self.name)

    def _take_snapshot(self) -> None:
        snapshot = snapshot_path(self.world, self.name)
        snapshot.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        snapshot.write_text(render(self.config))

    def _drop_snapshot(self) -> None:
        snapshot_path(self.world, self.name).unlink(missing_ok=True)

    def _snapshot(self) -> ZoneConfig:
        try:
            return parse(snapshot_path(self.world, self.name).read_bytes(), self.world.dialect)
        except OSError:
            return self.config

    # commands ------------------------------------------------------------------------------------------------
    def serve(self, command: int, arguments: list[str]) -> bool:
        """One command, in whatever state the zone is now [zones 3.4-3.6]."""
        word = state_of(self.world, self.name)
        state = STATES.index(word)
        if word == INSTALLED:
            return self._from_installed(command, state, arguments)
        if word == "ready":
            return self._from_ready(command, state, arguments)
        if word in ("configured", "incomplete"):
            if command == FORCEBOOT and word == "incomplete":
                return self._from_installed(command, state, arguments)
            self.answer.say(f"{WORD[command]} operation is invalid for zones in state '{word}'")
            return False
        return self._from_running(command, state, arguments)

    def _from_installed(self, command: int, state: int, arguments: list[str]) -> bool:
        if command == READY:
            return self.ready(state)
        if command in (BOOT, FORCEBOOT):
            if self.ready(state) and self.boot(state, arguments):
                return True
            self.halt(state)
            return False
        if command == HALT:
            self.answer.say("zone is already halted")
            return True
        self.answer.say(f"{WORD[command]} operation is invalid for zones in state 'installed'")
        return False

    def _from_ready(self, command: int, state: int, arguments: list[str]) -> bool:
        if command == READY:
            self.answer.say("zone is already ready")
            return True
        if command in (BOOT, FORCEBOOT):
            if self.boot(state, arguments):
                return True
            self.halt(state)
            return False
        if command == HALT:
            return self.halt(state)
        self.answer.say(f"{WORD[command]} operation is invalid for zones in state 'ready'")
        return False

    def _from_running(self, command: int, state: int, arguments: list[str]) -> bool:
        if command in (BOOT, FORCEBOOT):
            self.answer.say("zone is already booted")
            return True
        if command == HALT:
            return self.halt(state)
        if command == READY:
            return self.halt(state) and self.ready(state)
        if command == REBOOT:
            if not (self.halt(state) and self.ready(state)):
                return False
            if not self.boot(state, arguments):
                self.halt(state)
                return False
            return True
        raise AssertionError(command)  # shutdown waits outside the lock: `shutdown` below


_started: WeakKeyDictionary[World, dict[str, Brand]] = WeakKeyDictionary()


def _brand(world: World, name: str, config: ZoneConfig) -> Brand:
    """The state hooks are those of zoneadmd's start: a change is not seen by a zone already up [zones 3.12]."""
    brand = open_brand(world, config.brand)
    with world.lock:
        started = _started.setdefault(world, {})
        first = started.get(name)
        if first is None or kernel_zone(world, name) is None:
            started[name] = brand
            return brand
    return Brand(brand.name, {**brand.elements, **{hook: first.text(hook) for hook in STATE_HOOKS}})


def _daemon(call: Call, name: str, heard: bool) -> Daemon:
    """A running zone goes by the configuration it was booted with. Raises `InvalidBrand`, `ZonecfgError` or `TooLong`:
    the texts of the state hooks are put together when a daemon starts.
    """
    snapshot = snapshot_path(call.world, name)
    if kernel_zone(call.world, name) is not None and snapshot.exists():
        config = parse(snapshot.read_bytes(), call.world.dialect)
    else:
        config = load(call.world, name)
    daemon = Daemon(call.world, name, call, _brand(call.world, name, config), config, heard)
    for element in STATE_HOOKS:
        expand(daemon.brand.text(element), name, config.zonepath)
    return daemon


def command(call: Call, name: str, number: int, arguments: list[str], heard: bool = True) -> Answer:
    """The door call. Waits for the zone's lock, then does all of the command."""
    with call.world.zone_lock(name):
        return _serve(call, name, number, arguments, heard)


def _serve(call: Call, name: str, number: int, arguments: list[str], heard: bool) -> Answer:
    answer = Answer()
    try:
        if state_of(call.world, name) == "configured":
            return Answer(1, "cannot manage a zone which is in state 'configured'\n", could_not_start=True)
        daemon = _daemon(call, name, heard)
    except InvalidBrand:
        return Answer(1, "unable to open zone brand\n", could_not_start=True)
    except TooLong:
        text = f"failed to initialize brand state change hooks: {STALE_ERRNO}\n"
        return Answer(1, text, could_not_start=True)
    except ZonecfgError as trouble:
        return Answer(1, f"{trouble.text}\n", could_not_start=True)
    daemon.answer = answer
    answer.status = 0 if daemon.serve(number, arguments) else 1
    return answer


def uadmin(call: Call, name: str, reboot: bool = False) -> Answer:
    """`halt`, `init 0`, `init 5` or a reboot, typed inside the zone: its processes die before zoneadmd hears of it.

    Nobody reads the answer of a kernel-originated command; it goes to the host's log [zones 3.12], without what hooks
    have printed [zones 5.5].
    """
    world = call.world
    zone = kernel_zone(world, name)
    if zone is None or zone.status != Status.RUNNING:
        return Answer(1)
    kill_processes(world, zone)
    inner = Call(world, ["zoneadmd", "-z", name], io.BytesIO(), faults=call.faults)
    answer = command(inner, name, REBOOT if reboot else HALT, [], heard=False)
    if answer.text:
        log = world.path("/var/adm/messages")
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("a") as file:
            file.writelines(f"zoneadmd: [zone '{name}'] {line}\n" for line in answer.lines())
    return answer


_shutting: set[tuple[int, str]] = set()


def shutdown(call: Call, name: str) -> Answer:
    """The graceful way [zones 3.6]. init is obedient: it goes down at once, unless the fault script says otherwise."""
    world = call.world
    state = state_of(world, name)
    if state == "ready":
        return Answer(1, "shutdown operation is invalid for zones in state 'ready'\n")
    token = (id(world), name)
    with world.lock:
        if token in _shutting:
            return Answer(1, "shutdown already in progress\n")
        _shutting.add(token)
    try:
        call.operate()
        if uadmin(call, name).status != 0 and state_of(world, name) == state:
            raise Refused("init")
        seconds = smf.zones_stop_seconds(world) if world.stop_timeout is None else world.stop_timeout
        until = time.monotonic() + seconds
        while state_of(world, name) != INSTALLED:
            if time.monotonic() >= until:
                raise Refused("timeout")
            time.sleep(min(1.0, seconds / 100))
        return Answer()
    except Refused:
        return Answer(1, "unable to shutdown zone\n")
    finally:
        with world.lock:
            _shutting.discard(token)
