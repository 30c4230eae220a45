"""Every metric in one table: the registry, the page docs/monitoring/metrics.md and its tests are made from it.

House rules: base units in the name, ``_total`` on counters only, every label bounded; no label of a zone on counters
and histograms, but for the traffic of links, which has a limit of its own. Whose labels all have known values is there
from the start, with 0, so that a first increase is seen as one.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from typing import Literal, get_args

from zonehookd.model.guard import OPERATIONS
from zonehookd.model.outcome import Result
from zonehookd.model.subject import Kind

PREFIX = "zonehookd_"
BUCKETS_S = (0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
Type = Literal["counter", "gauge", "histogram"]


@dataclass(frozen=True, slots=True)
class Label:
    """`values`: all that it can have; none: `bound` says in words what keeps it small."""

    name: str
    bound: str = ""
    values: tuple[str, ...] = ()

    @property
    def limit(self) -> str:
        return ", ".join(f"`{value}`" for value in self.values) or self.bound


@dataclass(frozen=True, slots=True)
class Row:
    """`name` as it is scraped, without the prefix. `asked`: counted when somebody asks, by a collector. `where`: under
    which condition it is there at all."""

    name: str
    type: Type
    help: str
    labels: tuple[Label, ...] = ()
    asked: bool = False
    where: str = ""

    @property
    def full_name(self) -> str:
        return PREFIX + self.name

    @property
    def family(self) -> str:
        """As prometheus_client names it: a counter without its ``_total``."""
        return self.full_name.removesuffix("_total") if self.type == "counter" else self.full_name

    @property
    def label_names(self) -> tuple[str, ...]:
        return tuple(each.name for each in self.labels)

    def known(self) -> Iterator[tuple[str, ...]]:
        """Every set of labels, where all values are known; the empty one for a metric without labels."""
        if all(each.values for each in self.labels):
            yield from product(*(each.values for each in self.labels))


CALL_RESULTS = ("ok", "retry", "busy", "timeout", "permanent", "conflict", "failed")
KINDS = tuple(get_args(Kind))
_SOURCE = Label("source", "the event sources, and the parts of the daemon that ask for a look")
_EVENT_SOURCE = Label("source", "`zone-channel`, `zone-files`, `poll`, `health`")
_QUEUE = Label("queue", values=("subjects",))
_KIND = Label("kind", values=KINDS)
_PLUGIN = Label("plugin", "the plugins that work here")
_FOREIGN = Label("plugin", "the plugins and hooks that run in a worker of their own")
_RESULT = Label("result", values=CALL_RESULTS)
_VERB = Label("verb", values=("plan", "apply", "call", "moment"))
_MOMENT = Label("moment", values=(
    "before-create", "after-create", "before-start", "after-start", "before-stop", "after-stop", "before-delete",
    "after-delete", "reconnect",
))  # fmt: skip
_RECORD = Label("kind", "the kinds of things our books hold; ``own``: those of a plugin elsewhere")
_GATEWAY = Label("gateway", "the declared gateways")
_NETWORK = Label("network", "the declared networks")
_STATE = Label("state", "the states of a zone")
_COMMAND = Label("command", "the programs of COMMANDS.md")
_WORD = Label("word", values=("ready", "halt", "uninstall"))
_OP = Label("op", values=_WORD.values)
_ANSWER = Label("answer", values=("allow", "deny", "none"))
_LINK = (
    Label("link", "at most `[metrics] links_max`"),
    Label("zone", "of a link that is counted"),
    Label("network", "of a link that is counted"),
)
_TRAFFIC = "with `[metrics] traffic = true`"

_DAEMON = (
    Row("build_info", "gauge", "What runs here; always 1",
        (Label("version", "one"), Label("python", "one"), Label("platform", "one"))),
    Row("up_since_timestamp_seconds", "gauge", "When the daemon started"),
    Row("ready", "gauge", "1 after the first full look with its steps"),
    Row("config_last_reload_successful", "gauge", "1 while the configuration in force is the one in the file, as far "
        "as anybody asked; 0 after one was refused"),
    Row("config_last_reload_success_timestamp_seconds", "gauge", "When a configuration was last taken"),
    Row("cpu_seconds_total", "counter", "CPU time of the daemon, on any system", asked=True),
    Row("books_size_bytes", "gauge", "Size of our books on disk, write-ahead log included", asked=True),
    Row("books_commit_duration_seconds", "histogram", "One change of our books, until it is on disk"),
    Row("audit_lines_lost_total", "counter", "Lines of the audit log that could not be written", asked=True),
    Row("listener_failures_total", "counter", "Times a part that is only told raised: log, metrics, events",
        asked=True),
)  # fmt: skip

_EVENTS = (
    Row("events_received_total", "counter", "Hints where to look",
        (_SOURCE, Label("kind", "the words of the sources; states as the kernel has them"))),
    Row("events_undecodable_total", "counter", "Events that name no zone that can be", (_EVENT_SOURCE,), asked=True),
    Row("events_coalesced_total", "counter", "Hints that joined others already waiting", (_SOURCE,)),
    Row("event_source_up", "gauge", "1 while the source is subscribed", (_EVENT_SOURCE,)),
    Row("event_source_by", "gauge", "1 for the way by which the events of a source come",
        (_EVENT_SOURCE, Label("by", "`libzonecfg`, `libsysevent`"))),
    Row("event_source_last_event_timestamp_seconds", "gauge", "Last hint of the source", (_SOURCE,)),
    Row("event_source_restarts_total", "counter", "Times a source broke and was begun anew",
        (_EVENT_SOURCE, Label("reason", values=("ended", "hung", "system", "other")))),
    Row("event_channel_roundtrip_seconds", "histogram", "A ping of ours through the zone channel and back",
        (Label("source", values=("zone-channel",)),)),
    Row("zone_channel_total", "counter", "Of the zone channel: events heard, crowded out, failed; heartbeats, and "
        "those that missed some", (Label("what", "five words, as the help has them"),), asked=True),
    Row("event_subscribers", "gauge", "Who hears the event stream", (Label("transport", values=("ipc", "tcp")),),
        asked=True),
    Row("event_subscribers_refused_total", "counter", "Times somebody was not let in, for want of a key", asked=True),
    Row("missed_changes_total", "counter", "Changes found by polling that no source announced",
        (Label("kind", values=("zone",)),)),
)  # fmt: skip

_ENGINE = (
    Row("queue_depth", "gauge", "Subjects that wait to be looked at", (_QUEUE,)),
    Row("queue_oldest_age_seconds", "gauge", "How long the oldest of them waits", (_QUEUE,)),
    Row("queue_adds_total", "counter", "Hints that made something due that was not", (_QUEUE,)),
    Row("queue_retries_total", "counter", "Subjects put back to be tried again", (_QUEUE,)),
    Row("queue_wait_seconds", "histogram", "From the first hint to the look", (_QUEUE,)),
    Row("subjects_working", "gauge", "Subjects whose steps are being carried out"),
    Row("subjects_in_trouble", "gauge", "Subjects that are not as they should be, or are refused something", (_KIND,),
        asked=True),
    Row("reconcile_total", "counter", "Looks at a subject, by what came of them",
        (Label("result", values=("changed", "noop", "requeue", "error")),)),
    Row("outcomes_total", "counter", "The same, by kind of subject and in the engine's own words",
        (_KIND, Label("result", values=tuple(each.value for each in Result)))),
    Row("reconcile_duration_seconds", "histogram", "One look with its plans",
        (Label("scope", values=("zone", "full")),)),
    Row("converge_seconds", "histogram", "From the first hint to the end of the last step", (_KIND,)),
    Row("looks_blind_total", "counter", "Looks at the host that failed as a whole"),
    Row("full_look_interval_seconds", "gauge", "`[timing] full_look_s`: at least this often a full look is due"),
    Row("last_full_reconcile_timestamp_seconds", "gauge", "Last full look that could see"),
    Row("last_full_reconcile_attempt_timestamp_seconds", "gauge", "Last look tried"),
)  # fmt: skip

_PLUGINS = (
    Row("plugin_calls_total", "counter", "Plans made and steps carried out; of a worker, calls and moments. `retry`: "
        "could not look, or a step failed and is tried again; `permanent`: a step failed in a way only a change can "
        "mend; `failed`: the plugin broke",
        (_PLUGIN, _VERB, _RESULT), asked=True),
    Row("plugin_call_duration_seconds", "histogram", "One step carried out, or one call of a worker",
        (_PLUGIN, _VERB)),
    Row("plugin_inflight", "gauge", "Calls that have not returned", (_FOREIGN,), asked=True),
    Row("plugin_longest_running_seconds", "gauge", "How long the oldest of them runs", (_FOREIGN,), asked=True),
    Row("plugin_worker_restarts_total", "counter", "Times its worker was started again",
        (_FOREIGN, Label("reason", values=("exited", "timeout", "protocol", "memory", "start"))), asked=True),
    Row("plugin_circuit_open", "gauge", "1 while it is not called, because it failed again and again", (_FOREIGN,),
        asked=True),
    Row("plugin_degraded", "gauge", "1 while it is required and cannot be called", (_FOREIGN,), asked=True),
    Row("plugin_resident_memory_bytes", "gauge", "Memory of its worker", (_FOREIGN,), asked=True),
    Row("hook_calls_total", "counter", "Hooks that were run. `later`, `never`: the hook said so",
        (Label("hook", "the hooks of this host"), _MOMENT,
         Label("result", values=("ok", "later", "never", "failed", "timeout")))),
    Row("hook_duration_seconds", "histogram", "One hook", (_MOMENT,)),
    Row("resources", "gauge", "Things our books say we made, by how their owner is", (_PLUGIN, _RECORD,
        Label("state", values=("ok", "pending", "busy", "failed", "orphan"))), asked=True),
    Row("drift_repairs_total", "counter", "Things put right that were right before; the kind is the subject's",
        (_PLUGIN, _KIND, Label("cause", values=("missing", "altered")))),
    Row("orphans_removed_total", "counter", "Things cleared away because whom they were for is gone",
        (_PLUGIN, _RECORD)),
    Row("gc_refused_total", "counter", "Removals that were refused, or overtaken by another owner",
        (_PLUGIN, _RECORD)),
)  # fmt: skip

_ZONES = (
    Row("zones", "gauge", "Zones by state and brand", (_STATE, Label("brand", "the brands of this host")), asked=True),
    Row("attachments", "gauge", "NICs placed on declared networks", asked=True),
    Row("zone_degraded", "gauge", "1 for each zone in trouble",
        (Label("zone", "the first `[metrics] zones_max` by name"),), asked=True),
    Row("zone_flapping", "gauge", "Places behind routes that are held because their zone comes and goes", asked=True),
    Row("refusals", "gauge", "What is asked for and cannot be had now",
        (Label("code", "the codes of refusals"),), asked=True),
    Row("ipam_addresses", "gauge", "Addresses of a pool. `reserved`: in its range, and a gateway's or somebody "
        "else's; `quarantined`: at rest after their last owner",
        (Label("pool", "the networks with a pool; `NETWORK/ipv6` for the IPv6 part"),
         Label("state", values=("free", "used", "reserved", "quarantined"))), asked=True),
    Row("pool_exhausted_total", "counter", "NICs that found the pool of their network empty", (_NETWORK,)),
)  # fmt: skip

_DATA_PLANE = (
    Row("gateway_open", "gauge", "1 while packets go through the gateway, as far as we see", (_GATEWAY,), asked=True),
    Row("gateways_lost", "gauge", "Gateways whose configuration was deleted while zones depend on them"),
    Row("dhcp_reloads_total", "counter", "Times a DHCP or name server was told of a change",
        (Label("reason", values=("omapi", "signal", "restart", "start", "stop")),)),
    Row("dhcp_reload_duration_seconds", "histogram", "The telling"),
    Row("proxy_changes_total", "counter", "Changes a reverse proxy took while it ran (`runtime`), by reading its "
        "configuration (`reload`, `restart`), or not at all",
        (Label("proxy", "the gateways with a proxy"),
         Label("method", values=("runtime", "reload", "restart", "rejected")))),
    Row("proxy_old_workers", "gauge", "nginx: generations of workers told to end that had not, as of its last reload",
        (Label("proxy", "the gateways with nginx"),), asked=True),
    Row("routes", "gauge", "Routes with somebody behind them, and without",
        (_GATEWAY, Label("state", values=("served", "unserved"))), asked=True),
    Row("route_backends", "gauge", "Backends of routes",
        (_GATEWAY, Label("state", values=("in", "drain", "out", "held"))), asked=True),
    Row("routes_held", "gauge", "Routes with a backend that flaps", (_GATEWAY,), asked=True),
)  # fmt: skip

_GUARD = (
    Row("guard_decisions_total", "counter", "What the guard and the gate decided. `override`: a permit was given; "
        "`failopen`: allowed because nobody could look or answer; `timeout`: no answer in time",
        (Label("guard", values=(*OPERATIONS, "boot")),
         Label("decision", values=("allow", "deny", "override", "failopen", "timeout")))),
    Row("gate_duration_seconds", "histogram", "How long a brand's hook waited for its answer", (_OP,)),
    Row("gate_answers_total", "counter", "What the brands' hooks were told, with the code",
        (_WORD, _ANSWER, Label("code", "the codes of the guard and the gate"))),
    Row("gate_alone_total", "counter", "What hooks decided while we did not answer",
        (_WORD, Label("answer", values=("allow", "deny")))),
    Row("brands_without_gate", "gauge", "Brands that should have the gate and have not", asked=True),
)  # fmt: skip

_TOOLS = (
    Row("commands_total", "counter", "External commands",
        (_COMMAND, Label("result", values=("ok", "failed", "error")))),
    Row("command_duration_seconds", "histogram", "External commands",
        (_COMMAND, Label("result", values=("ok", "failed", "error")))),
)  # fmt: skip

_LINKS = (
    Row("link_receive_bytes_total", "counter", "Received, as the link sees it: by its zone", _LINK, True, _TRAFFIC),
    Row("link_transmit_bytes_total", "counter", "Sent, as the link sees it", _LINK, True, _TRAFFIC),
    Row("link_receive_packets_total", "counter", "Packets received", _LINK, True, _TRAFFIC),
    Row("link_transmit_packets_total", "counter", "Packets sent", _LINK, True, _TRAFFIC),
    Row("link_receive_errors_total", "counter", "Packets received with errors", _LINK, True, _TRAFFIC),
    Row("link_transmit_errors_total", "counter", "Packets that could not be sent", _LINK, True, _TRAFFIC),
    Row("link_up", "gauge", "1 while the link is up, 0 down; left out while it is unknown", _LINK, True, _TRAFFIC),
    Row("links_uncounted", "gauge", "Links beyond `[metrics] links_max`, which are left out", (), True, _TRAFFIC),
    Row("traffic_last_read_timestamp_seconds", "gauge", "When the counters were last read; before that, when the "
        "daemon started", (), True, _TRAFFIC),
)  # fmt: skip

GROUPS: dict[str, tuple[Row, ...]] = {
    "The daemon": _DAEMON,
    "Events": _EVENTS,
    "Looks and queue": _ENGINE,
    "Plugins, hooks and what they made": _PLUGINS,
    "Zones and addresses": _ZONES,
    "Gateways, servers and routes": _DATA_PLANE,
    "Guard and gate": _GUARD,
    "System commands": _TOOLS,
    "Traffic of links": _LINKS,
}
TABLE: dict[str, Row] = {row.name: row for rows in GROUPS.values() for row in rows}
