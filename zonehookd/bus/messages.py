"""The wire: every message has a version, and a shape that pydantic checks on both sides."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

VERSION = 1
Verb = Literal[
    "status", "zones", "networks", "gateways", "addresses", "links", "plan", "apply", "explain", "plugins", "reload",
    "provisioning-setup", "provisioning-status", "provisioning-teardown",
    "guard-check", "guard-permit", "guard-restore", "guard-status",
    "brand-enable", "brand-disable", "brand-status", "hooks",
    "plugin-reload", "plugin-try",
    "routes", "drain", "undrain", "keys",
    "timeline", "check", "trace",
]  # fmt: skip


class Message(BaseModel):
    model_config = ConfigDict(extra="forbid")
    v: Literal[1] = 1


class ProvisioningWish(BaseModel):
    """What `provisioning-setup` is told; what is not said stays as it is, or is found."""

    model_config = ConfigDict(extra="forbid")
    cidr: str | None = None
    uplink: str | None = None
    upstream: list[str] = Field(default_factory=list)


class TrialWish(BaseModel):
    """What `plugin-try` is told. `path`: the plugin's folder, wherever it lies; "": that of this name. `kind`, `name`:
    the subject to plan for. `options`: over those of the configuration."""

    model_config = ConfigDict(extra="forbid")
    path: str = ""
    kind: Literal["network", "gateway", "zone"]
    name: str
    options: dict[str, Any] = Field(default_factory=dict)


class Request(Message):
    """`network`: of the provisioning verbs; `names`: of guard-permit, gateway zones and ``network/NETWORK``; `wish`: of
    provisioning-setup; `edited`: of plan; `plugin`: of the plugin verbs; `trial`: of plugin-try;
    `operation`: of guard-check; `for_s`, `reason`: of guard-permit and drain; `brand`: of the brand verbs; `gateway`:
    of routes; `wait`: of drain; `target`, `port` (0: none, ping), `udp`: of trace.
    """

    verb: Verb
    zone: str | None = None
    network: str | None = None
    names: list[str] = Field(default_factory=list)
    wish: ProvisioningWish | None = None
    edited: bool = False
    operation: str = ""
    for_s: float | None = None
    reason: str = ""
    brand: str | None = None
    gateway: str | None = None
    wait: bool = False
    plugin: str | None = None
    trial: TrialWish | None = None
    target: str = ""
    port: int = Field(0, ge=0, le=65535)
    udp: bool = False


class Reply(Message):
    """`error` None: `data` is the answer, one of the shapes below, as JSON."""

    data: Any = None
    error: str | None = None
    code: str = ""
    hint: str = ""


class NoteRow(BaseModel):
    """Why something is not done."""

    kind: str = Field(description="nothing, waiting (it resolves by itself), refused (somebody is needed) or failed")
    text: str = Field(description="for people")
    code: str = Field("", description="for programs; stable")
    object: str = Field("", description="what it is about: a link, an address, a route")
    hint: str = Field("", description="the way out, where one is known")


class StepRow(BaseModel):
    """One step of a plan, or what became of it."""

    plugin: str = Field(description="who planned it")
    step: str = Field(description="what is done, on one line; pasteable where it is a command")
    why: str = Field(description="for people")
    shows: list[str] = Field(default_factory=list, description="what it means for others, such as a way in that opens")
    ok: bool | None = Field(None, description="whether it was done; null: it is only planned")
    seconds: float | None = Field(None, description="how long it took; null: it is only planned")
    error: str = Field("", description="why it failed, for people")


class SubjectRow(BaseModel):
    """A plan, or what became of one."""

    kind: str = Field(description="zone, network or gateway")
    name: str = Field(description="whose it is")
    result: str = Field(
        "", description="noop, changed, busy, failed, stuck, blind or unsettled; empty: nothing has been done"
    )
    steps: list[StepRow] = Field(default_factory=list, description="in their order")
    notes: list[NoteRow] = Field(default_factory=list, description="what is not done, and why")
    error: str = Field("", description="what went wrong, for people")


class ZoneRow(BaseModel):
    name: str
    state: str
    brand: str
    result: str
    attachments: list[dict[str, Any]]
    trouble: list[NoteRow]


class NetworkRow(BaseModel):
    name: str
    cidr: list[str]
    link: str
    kind: Literal["internal", "external"]
    mtu: int | None
    zones: int
    result: str
    trouble: list[NoteRow]


class GatewayRow(BaseModel):
    """`open`: packets go through it, as far as we set it up; `text` says why not."""

    name: str
    kind: str
    open: bool
    text: str
    outside: str
    addresses: list[str]
    networks: list[str]
    forwards: list[str]
    zones: int
    trouble: list[NoteRow]


class AddressRow(BaseModel):
    """`state`: in use, or resting after its zone gave it back."""

    network: str
    address: str
    zone: str
    link: str
    state: Literal["in use", "resting"]


class LinkRow(BaseModel):
    """`made_by`: us, somebody else, or nobody yet (recorded, and not there)."""

    name: str
    kind: str
    over: str
    mac: str
    mtu: int | None
    owner: str
    made_by: Literal["us", "somebody else", "missing"]


class PlanReply(BaseModel):
    """`changes`: steps that change the host, over all subjects."""

    changes: int
    subjects: list[SubjectRow]


class SourceRow(BaseModel):
    name: str
    up: bool
    text: str = ""


class StatusReply(BaseModel):
    """`without_gate`: brands whose hooks should ask us and do not, each with the reason. `unserved`: routes that nobody
    is behind now. `plugins`: those in workers that are not well, a line each."""

    version: str
    ready: bool
    uptime_s: float
    zones: int
    networks: int
    attachments: int
    working: int
    waiting: int
    sources: list[SourceRow]
    trouble: list[SubjectRow]
    last_full_look_s: float | None
    blind: str
    config: str
    config_error: str
    rebuilt: str
    without_gate: list[str]
    routes: int
    unserved: int
    plugins: list[str] = Field(default_factory=list)


class ReloadReply(BaseModel):
    """What is in force now. `at_next_start`: sections that changed and wait for the daemon's next start. `not_well`:
    plugins in workers that did not come up like this, a line each; the one before goes on where there was one."""

    config: str
    networks: int
    gateways: int
    plugins: list[str]
    at_next_start: list[str]
    not_well: list[str] = Field(default_factory=list)


class ComponentRow(BaseModel):
    """One part of a provisioning network. None: it could not be seen, and `text` says why."""

    name: Literal["etherstub", "host-vnic", "address", "forwarding", "nat", "dhcp", "dns"]
    object: str
    exists: bool | None
    as_declared: bool | None
    works: bool | None
    text: str = ""

    @property
    def good(self) -> bool:
        return bool(self.exists and self.as_declared and self.works)


class ProvisioningRow(BaseModel):
    """`ready`: all three hold for all components. `declared_in`: the file; `zones`: whoever has a NIC on it."""

    name: str
    ready: bool
    cidr: str
    host: str
    uplink: str
    pool: list[str]
    dynamic: list[str]
    resolvers: list[str]
    declared_in: str
    zones: list[str]
    components: list[ComponentRow]


class ProvisioningReply(BaseModel):
    """`text`: what was done, for a person."""

    networks: list[ProvisioningRow]
    text: str = ""


class DependentRow(BaseModel):
    """`how`: address, attribute, global-nic, provisioning, gateway or link; `through`: the gateway it is behind."""

    network: str
    zone: str
    how: str
    state: str
    through: str = ""


class GuardReply(BaseModel):
    """`code`, `recorded`, `left_out`: as a Verdict's in model/guard.py. `lines`: for people, the first of them."""

    zone: str
    operation: str
    allowed: bool
    code: str
    text: str
    hint: str = ""
    dependents: list[DependentRow] = Field(default_factory=list)
    lines: list[str] = Field(default_factory=list)
    recorded: float | None = None
    left_out: int = 0


class PermitRow(BaseModel):
    """`name`: a gateway zone, or ``network/NETWORK``; `until`: unix seconds. `text`: why `cuts_off` is as last seen."""

    name: str
    until: float
    cuts_off: list[str]
    text: str = ""


class PermitReply(BaseModel):
    """All that leave was asked for, in that order: it is given to all of them or to none."""

    permits: list[PermitRow]


class WithoutDaemon(BaseModel):
    """What hooks with the gate do while zonehookd does not answer; a halt always goes on. `uninstall` of a gateway:
    block, record or allow; `boot`: allow or deny. As [guard] had it when the record was written."""

    uninstall: str
    boot: str


class GuardedRow(BaseModel):
    """A gateway. `state`: of its zone, or ``lost``; `kept`: its configuration can be restored; `gate`: the hooks of its
    brand ask first (None: there is no brand to tell). By the record of a daemon that does not answer, `state` is that
    of the zone index, or ``unknown``; `kept` None: it is not known, as `gate` and `permit_reason` never are;
    `left_out`: as a Verdict's in model/guard.py."""

    name: str
    state: str
    kept: bool | None
    gate: bool | None
    permit_until: float | None
    permit_reason: str
    dependents: list[DependentRow]
    text: str = ""
    left_out: int = 0


class GuardStatusReply(BaseModel):
    """`networks`: permits for them, which let the configuration remove or shrink them. `recorded`: zonehookd did not
    answer, and this is by the record of then, in unix seconds; it has no `networks`, and says what hooks do
    `without_daemon`."""

    gateways: list[GuardedRow]
    networks: list[PermitRow] = Field(default_factory=list)
    recorded: float | None = None
    without_daemon: WithoutDaemon | None = None


class BrandRow(BaseModel):
    """`gate`: whether its hooks ask us; `missing`: they should and do not, `text` says why; `edited`: they do, and
    somebody else has changed the file besides. `zones`: how many there are; None where no daemon answers. `old_hooks`:
    zones that were up when the gate came or went, and go by the hooks of before until they are halted.
    """

    name: str
    enabled: bool
    gate: str  # in place, remade, edited, missing, none
    text: str
    zones: int | None
    old_hooks: list[str]


class BrandReply(BaseModel):
    """`text`: what was done, for a person. `without_daemon`: zonehookd did not answer, and this is by the files of the
    brands and what it keeps of them, `old_hooks` as last written; `recorded` says when it left its record, in unix
    seconds (None: it has left none)."""

    brands: list[BrandRow]
    text: str = ""
    recorded: float | None = None
    without_daemon: WithoutDaemon | None = None
