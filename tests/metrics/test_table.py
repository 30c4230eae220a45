"""The table, the registry that is made from it, and the page that shows it are one."""

from __future__ import annotations

import runpy
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import get_args

import pytest
from prometheus_client import generate_latest
from prometheus_client.metrics_core import Metric
from prometheus_client.parser import text_string_to_metric_families

from zonehookd.foreign.faults import Reason
from zonehookd.gate.server import Asked
from zonehookd.hooks.calls import Outcome as HookOutcome
from zonehookd.hooks.moments import MOMENTS
from zonehookd.metrics import Metrics
from zonehookd.metrics.table import CALL_RESULTS, PREFIX, TABLE, Row
from zonehookd.model import subject
from zonehookd.model.command import Change
from zonehookd.model.event import Event
from zonehookd.model.guard import Verdict
from zonehookd.model.outcome import Outcome, Result, StepResult
from zonehookd.model.plan import Note
from zonehookd.model.record import Record
from zonehookd.model.subject import Subject

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Worker:
    name: str = "hosts"
    inflight: int = 2
    longest_s: float = 1.5
    restarts: Mapping[str, int] = field(default_factory=lambda: {"exited": 3})
    circuit_open: bool = True
    rss_bytes: int | None = None
    calls: Mapping[tuple[str, str], int] = field(default_factory=lambda: {("apply", "timeout"): 4})
    degraded: bool = False


def families(metrics: Metrics) -> dict[str, Metric]:
    return {each.name: each for each in text_string_to_metric_families(generate_latest(metrics.registry).decode())}


def samples(metrics: Metrics) -> dict[str, float]:
    """As a line of /metrics has it, without the prefix -> number."""
    found = {}
    for line in generate_latest(metrics.registry).decode().splitlines():
        if line.startswith(PREFIX):
            name, _, number = line.removeprefix(PREFIX).rpartition(" ")
            found[name] = float(number)
    return found


@pytest.fixture
def metrics() -> Metrics:
    made = Metrics(zones_max=2)
    made.has(["vnic", "dhcpd"], ["poll"])
    return made


# -- the table ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("row", TABLE.values(), ids=lambda row: row.name)
def test_names_units_and_bounds(row: Row) -> None:
    assert row.name.endswith("_total") == (row.type == "counter"), "of counters, and of no other"
    assert row.type != "histogram" or row.name.endswith("_seconds")
    assert "_ms" not in row.name and "_kb" not in row.name and "_percent" not in row.name
    assert "timestamp" not in row.name or row.name.endswith("_timestamp_seconds")
    assert row.help and not row.help.endswith("."), "a full stop is the page's"
    assert all(each.values or each.bound for each in row.labels), "each label says what keeps it small"
    assert ("zone" in row.label_names) == (row.name == "zone_degraded" or row.name.startswith("link_"))
    assert len(set(row.label_names)) == len(row.label_names) and not {"le", "instance", "job"} & set(row.label_names)


def test_the_registry_has_what_the_table_says_from_the_start(metrics: Metrics) -> None:
    found = families(metrics)
    for row in (each for each in TABLE.values() if not each.asked):
        family = found.pop(row.family)
        assert (family.type, family.documentation) == (row.type, row.help)
        said = {tuple(sorted(set(sample.labels) - {"le"})) for sample in family.samples}
        known = list(row.known())
        assert said <= {tuple(sorted(row.label_names))}
        if known:
            shown = {tuple(sample.labels[name] for name in row.label_names) for sample in family.samples}
            assert shown == set(known), "whose labels are known begins with 0"
    assert {name for name in found if name.startswith(PREFIX)} == {"zonehookd_plugin_calls", "zonehookd_cpu_seconds"}
    assert {"process_cpu_seconds", "python_gc_collections"} <= found.keys()


def test_the_page_is_the_table() -> None:
    script = runpy.run_path(str(ROOT / "docs" / "monitoring" / "write_table.py"))
    page = script["PAGE"].read_text()
    assert script["page"](page) == page, "run: python docs/monitoring/write_table.py"
    assert all(f"| `{row.full_name}` |" in page for row in TABLE.values())


def test_words_that_the_table_knows_are_those_of_their_parts() -> None:
    def values(name: str, label: str) -> set[str]:
        return next(set(each.values) for each in TABLE[name].labels if each.name == label)

    assert values("hook_calls_total", "moment") == values("hook_duration_seconds", "moment") == set(MOMENTS)
    assert values("hook_calls_total", "result") == set(get_args(HookOutcome))
    assert values("plugin_worker_restarts_total", "reason") == set(get_args(Reason))
    assert values("gate_answers_total", "word") == set(get_args(Asked))


# -- what is counted ---------------------------------------------------------------------------------------------------


WEB1 = subject.zone("web1")


def outcome(result: Result, *steps: StepResult, of: Subject = WEB1, note: str = "") -> Outcome:
    notes = (Note("refused", "it is refused", note),) if note else ()
    return Outcome(of, result, steps, notes, waited_s=1.0, seconds=2.0)


def test_outcomes_are_counted_in_the_words_of_operators(metrics: Metrics) -> None:
    for result in Result:
        metrics.ended(outcome(result))
    found = samples(metrics)
    counts = {word: found[f'reconcile_total{{result="{word}"}}'] for word in ("changed", "noop", "requeue", "error")}
    assert counts == {"changed": 1, "noop": 1, "requeue": 2, "error": 3}
    assert all(found[f'outcomes_total{{kind="zone",result="{each.value}"}}'] == 1 for each in Result)
    assert found['queue_retries_total{queue="subjects"}'] == 5
    assert found['converge_seconds_count{kind="zone"}'] == 0, "nothing was done, so nothing took its time"


def test_steps_are_calls_repairs_reloads_and_changes_of_proxies(metrics: Metrics) -> None:
    def step(plugin: str, ok: bool, *argv: str, **more: str) -> StepResult:
        return StepResult(plugin, Change(argv, "to see", **more), ok, 0.2)  # type: ignore[arg-type]

    edge = subject.gateway("edge")
    good = outcome(
        Result.CHANGED,
        step("vnic", True, "dladm", "create-vnic", cause="missing"),
        step("dhcpd", True, "svcadm", "-z", "edge", "restart", "svc:/network/dhcp:ipv4"),
        step("dhcpd", True, "python", "-I", "-c", "x", "zonehookd.illumos.omapi", "a", "b"),
        step("dnsmasq", True, "zlogin", "-n", "edge", "pkill -HUP -c 77"),
        step("haproxy", True, "sh", tally="haproxy-runtime"),
        step("nginx", True, "pkill", tally="nginx-reload"),
        of=edge,
    )
    metrics.ended(good)
    metrics.ended(outcome(Result.STUCK, step("haproxy", False, "haproxy", "-c", "-f", "x"), of=edge))
    metrics.ended(outcome(Result.FAILED, step("vnic", False, "dladm", "create-vnic")))
    metrics.called("vnic", "plan", "blind", 3)
    found = samples(metrics)
    calls = {each: found[f'plugin_calls_total{{plugin="vnic",result="{each}",verb="apply"}}'] for each in CALL_RESULTS}
    assert calls == {**dict.fromkeys(CALL_RESULTS, 0), "ok": 1, "retry": 1}
    assert found['plugin_calls_total{plugin="haproxy",result="permanent",verb="apply"}'] == 1
    assert found['plugin_calls_total{plugin="vnic",result="retry",verb="plan"}'] == 3
    assert found['drift_repairs_total{cause="missing",kind="gateway",plugin="vnic"}'] == 1
    assert found['drift_repairs_total{cause="altered",kind="zone",plugin="vnic"}'] == 0
    reloads = {how: found[f'dhcp_reloads_total{{reason="{how}"}}'] for how in ("restart", "omapi", "signal", "start")}
    assert reloads == {"restart": 1, "omapi": 1, "signal": 1, "start": 0}
    methods = {
        how: found[f'proxy_changes_total{{method="{how}",proxy="edge"}}'] for how in ("runtime", "reload", "rejected")
    }
    assert methods == {"runtime": 1, "reload": 1, "rejected": 1}
    assert found['converge_seconds_sum{kind="gateway"}'] == 6


def test_a_removal_that_was_overtaken_is_counted_by_what_it_was_about(metrics: Metrics) -> None:
    ours = Record("vnic", "web1_0", subject.zone("web1"), "vnic")
    gone = StepResult("vnic", Change(("dladm", "delete-vnic", "web1_0"), "it is gone", only_if=ours), False, 0.1)
    metrics.ended(outcome(Result.FAILED, gone))
    assert samples(metrics)['gc_refused_total{kind="vnic",plugin="vnic"}'] == 1


def test_zones_in_trouble_are_named_up_to_the_cap_and_forgotten_when_they_are_gone(metrics: Metrics) -> None:
    latest = {subject.zone(f"web{n}"): outcome(Result.STUCK, of=subject.zone(f"web{n}")) for n in (3, 1, 2)}
    latest[subject.zone("db1")] = outcome(Result.NOOP, of=subject.zone("db1"), note="address-taken")
    latest[subject.gateway("edge")] = outcome(Result.BUSY, of=subject.gateway("edge"))
    records = [Record("vnic", name, subject.zone(owner), "vnic") for name, owner in (("a", "web1"), ("b", "nobody"))]
    metrics.show_resources(lambda: records, latest)
    found = samples(metrics)
    assert {name for name in found if name.startswith("zone_degraded")} == {
        'zone_degraded{zone="db1"}', 'zone_degraded{zone="web1"}',
    }  # fmt: skip
    assert found['subjects_in_trouble{kind="zone"}'] == 4 and found['subjects_in_trouble{kind="network"}'] == 0
    assert found['gateway_open{gateway="edge"}'] == 0 and found['refusals{code="address-taken"}'] == 1
    assert found['resources{kind="vnic",plugin="vnic",state="failed"}'] == 1
    assert found['resources{kind="vnic",plugin="vnic",state="orphan"}'] == 1
    latest.clear()
    left = samples(metrics)
    assert not [name for name in left if name.startswith(("zone_degraded", "gateway_open", "refusals"))]


def test_workers_stand_beside_our_own_plugins(metrics: Metrics) -> None:
    metrics.called("hosts", "apply", "timeout", 1)
    metrics.show_workers(lambda: [Worker()])
    found = samples(metrics)
    assert found['plugin_calls_total{plugin="hosts",result="timeout",verb="apply"}'] == 5
    assert found['plugin_worker_restarts_total{plugin="hosts",reason="exited"}'] == 3
    assert found['plugin_circuit_open{plugin="hosts"}'] == 1 and found['plugin_degraded{plugin="hosts"}'] == 0
    assert (
        found['plugin_inflight{plugin="hosts"}'] == 2 and found['plugin_longest_running_seconds{plugin="hosts"}'] == 1.5
    )
    assert not [name for name in found if name.startswith("plugin_resident_memory")], "nobody knows it"


@pytest.mark.parametrize(
    ("operation", "allowed", "code", "decision"),
    [
        ("uninstall", False, "dependents", "deny"),
        ("uninstall", True, "permitted", "override"),
        ("delete", True, "no-dependents", "allow"),
        ("halt", True, "cannot-look", "failopen"),
    ],
)
def test_verdicts_are_decisions(metrics: Metrics, operation: str, allowed: bool, code: str, decision: str) -> None:
    metrics.judged(Verdict("edge", operation, allowed, code, "so"))
    assert samples(metrics)[f'guard_decisions_total{{decision="{decision}",guard="{operation}"}}'] == 1


def test_what_the_gate_says_of_boots_and_does_alone_are_decisions_too(metrics: Metrics) -> None:
    metrics.gate_answered("ready", "allow", "made", 0.1)
    metrics.gate_answered("ready", "allow", "late", 1.7)
    metrics.gate_answered("ready", "none", "", 1.9)
    metrics.gate_answered("halt", "allow", "not-guarded", 0.1)
    metrics.gate_alone("ready", True)
    metrics.gate_alone("uninstall", False)
    found = samples(metrics)
    boot = {
        each: found[f'guard_decisions_total{{decision="{each}",guard="boot"}}']
        for each in ("allow", "failopen", "timeout")
    }
    assert boot == {"allow": 1, "failopen": 2, "timeout": 1}
    assert found['guard_decisions_total{decision="deny",guard="uninstall"}'] == 1
    assert found['guard_decisions_total{decision="allow",guard="halt"}'] == 0, "the guard has counted that one itself"
    assert found['gate_duration_seconds_count{op="ready"}'] == 3


@pytest.mark.parametrize(
    ("reason", "label"),
    [("ended", "ended"), ("Hung('libzonecfg: no return after 5 s')", "hung"), ("PermissionError(13, 'x')", "system"),
     ("ValueError('x')", "other"), ("ZMQError('x')", "other")],
)  # fmt: skip
def test_why_a_source_broke_is_one_of_four_words(metrics: Metrics, reason: str, label: str) -> None:
    metrics.source_up("poll", "")
    metrics.source_down("poll", reason, False)
    found = samples(metrics)
    assert found[f'event_source_restarts_total{{reason="{label}",source="poll"}}'] == 1
    assert found['event_source_up{source="poll"}'] == 0


def test_hints_make_due_or_join(metrics: Metrics) -> None:
    for new in (True, False, False):
        metrics.hinted(Event("poll", "poll"), new)
    found = samples(metrics)
    assert found['queue_adds_total{queue="subjects"}'] == 1 and found['events_coalesced_total{source="poll"}'] == 2
    assert found['events_received_total{kind="poll",source="poll"}'] == 3


def test_hooks(metrics: Metrics) -> None:
    metrics.hooked("10-notify", "after-start", "ok", 0.2)
    found = samples(metrics)
    assert found['hook_calls_total{hook="10-notify",moment="after-start",result="ok"}'] == 1
    assert found['hook_duration_seconds_sum{moment="after-start"}'] == 0.2
