"""`svcs -x` and `svcs -l`: why a service is as it is, and all there is to say of one [services 3.1, 3.2]."""

from __future__ import annotations

import time

from lab.smf import repository as repo
from lab.smf.instance import UP, Instance, Reason, State
from lab.smf.restarter import Restarter

_MANUAL = "tm_man_"


def title(instance: Instance) -> str:
    """Its common name; "" when it has none."""
    return instance.word("tm_common_name", "C")


def needs_explaining(instance: Instance) -> bool:
    """Enabled and not running, or in maintenance."""
    if instance.state in UP or instance.state is State.UNINITIALIZED:
        return False
    return instance.enabled() or instance.state is State.MAINTENANCE


def reason_of(known: Restarter, instance: Instance) -> Reason | None:
    """None for a healthy one."""
    if instance.state in UP:
        return None
    if instance.state is State.MAINTENANCE:
        return instance.reason or Reason("Unknown.", "AR")
    if instance.state is State.DISABLED:
        return _disabled(instance)
    if instance.next_state is State.ONLINE:
        return Reason("Start method is running.", "C4")
    for each in known.dependencies(instance):
        unmet = known.unmet(*each)
        if unmet is not None:
            return _unmet(known, unmet)
    return Reason("Unknown.", "AR")


def _disabled(instance: Instance) -> Reason:
    temporary = repo.GENERAL_OVR in instance.entity.groups
    group = instance.entity.groups.get(repo.GENERAL_OVR if temporary else repo.GENERAL)
    comment = group.properties.get("comment") if group else None
    tail = f": {comment.values[0]}" if comment else ""
    if temporary:
        return Reason(f"Temporarily disabled by an administrator.{tail}", "1S")
    return Reason(f"Disabled by an administrator.{tail}", "05")


def _unmet(known: Restarter, entity: str) -> Reason:
    cited = known.find(entity)
    if not cited:
        return Reason(f"Dependency {entity} is absent.", "E2")
    states = {State.DISABLED: "disabled", State.MAINTENANCE: "in maintenance", State.OFFLINE: "not running"}
    return Reason(f"Service {cited[0].fmri} is {states.get(cited[0].state, 'not running')}.", "FJ")


def dependents_down(known: Restarter, instance: Instance) -> list[Instance]:
    """Enabled instances that do not run because `instance` does not."""
    if instance.state in UP:
        return []
    return [
        each for each in known.dependents_of(instance)
        if each.enabled() and each.state is State.OFFLINE
    ]  # fmt: skip


def explain(known: Restarter, instance: Instance, verbose: bool) -> str:
    name = title(instance)
    reason = reason_of(known, instance)
    lines = [
        f"{instance.fmri} ({name})" if name else f"{instance.fmri} (?)",
        f" State: {instance.state} since {time.strftime('%a %b %e %H:%M:%S %Y', time.localtime(instance.since))}",
    ]
    if reason is not None:
        lines += [f"Reason: {reason.text}", f"   See: http://illumos.org/msg/SMF-8000-{reason.code}"]
    lines += [
        f"   See: {instance.word(group, 'title')}({instance.word(group, 'section')})"
        for group in instance.entity.running
        if group.startswith(_MANUAL)
    ]
    if instance.log.exists():
        lines.append(f"   See: /var/svc/log/{instance.log.name}")
    return "\n".join([*lines, *_impact(known, instance, verbose)]) + "\n"


def _impact(known: Restarter, instance: Instance, verbose: bool) -> list[str]:
    if instance.state in UP:
        return ["Impact: None."]
    down = dependents_down(known, instance)
    if not down:
        return ["Impact: This service is not running."]
    hint = ":" if verbose else ".  (Use -v for list.)"
    one = "1 dependent service is" if len(down) == 1 else f"{len(down)} dependent services are"
    listed = [f"        {each.fmri}" for each in down] if verbose else []
    return [f"Impact: {one} not running{hint}", *listed]


def long(known: Restarter, instance: Instance, zone: str | None) -> str:
    """`svcs -l`"""
    enabled = "true" if instance.enabled() else "false"
    groups = instance.entity.groups
    rows = [("fmri", instance.fmri), ("name", title(instance))]
    if zone is not None:
        rows.append(("zone", zone))
    rows.append(("enabled", f"{enabled} (temporary)" if repo.GENERAL_OVR in groups else enabled))
    for group in (repo.GENERAL_OVR, repo.GENERAL):
        if group in groups and "comment" in groups[group].properties:
            rows.append(("comment", groups[group].properties["comment"].values[0]))
            break
    rows += [
        ("state", str(instance.state)),
        ("next_state", str(instance.next_state)),
        ("state_time", time.strftime("%a %b %e %H:%M:%S %Y", time.localtime(instance.since))),
    ]
    if instance.log.exists():
        rows.append(("logfile", f"/var/svc/log/{instance.log.name}"))
    rows.append(("restarter", "svc:/system/svc/restarter:default"))
    if instance.contract is not None:
        rows.append(("contract_id", str(instance.contract.ctid)))
    for grouping, restart_on, kind, cited in known.dependencies(instance):
        states = " ".join(f"{entity} ({_state_of(known, kind, entity)})" for entity in cited)
        rows.append(("dependency", f"{grouping}/{restart_on} {states}"))
    return "".join(f"{name:<13}{value}".rstrip() + "\n" for name, value in rows)


def _state_of(known: Restarter, kind: str, entity: str) -> str:
    if kind == "path":
        return "online" if known.fulfilled(kind, entity) else "absent"
    cited = known.find(entity)
    return str(cited[0].state) if cited else "absent"
