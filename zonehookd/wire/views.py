"""Views as they are sent: the dataclasses of the contract, field by field, as JSON that any language reads."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from pydantic import TypeAdapter, ValidationError

from zonehookd.errors import PluginFailed
from zonehookd.illumos.dladm import Dialect
from zonehookd.model.record import Record
from zonehookd.model.subject import Subject
from zonehookd.plugin.contract import GatewayView, NetworkView, ZoneView

AnyView = NetworkView | GatewayView | ZoneView
_KINDS: Mapping[str, type[Any]] = {"zone": ZoneView, "network": NetworkView, "gateway": GatewayView}


@functools.cache
def _adapter(kind: str) -> TypeAdapter[Any]:
    return TypeAdapter(_KINDS[kind])


@functools.cache
def _dialect() -> TypeAdapter[Dialect]:
    return TypeAdapter(Dialect)


def sent(view: AnyView) -> dict[str, Any]:
    shown: dict[str, Any] = _adapter(view.subject.kind).dump_python(view, mode="json")
    return shown


def received(kind: str, shown: Mapping[str, Any]) -> AnyView:
    """Raises PluginFailed."""
    try:
        view: AnyView = _adapter(kind).validate_python(shown)
    except (KeyError, ValidationError) as problem:
        raise PluginFailed(f"the daemon sent no {kind} that this version knows: {problem}") from problem
    return view


def gone(view: AnyView) -> bool:
    """It may never come again, so neither side keeps its view: shown again, it is shown whole."""
    match view:
        case ZoneView():
            return view.zone.absent
        case NetworkView():
            return view.network is None
        case GatewayView():
            return view.gateway is None


def schema(kind: str) -> dict[str, Any]:
    """JSON schema of a view, for the documentation."""
    return _adapter(kind).json_schema(mode="serialization")


def dialect_sent(dialect: Dialect) -> dict[str, Any]:
    sent_: dict[str, Any] = _dialect().dump_python(dialect, mode="json")
    return sent_


def dialect_received(shown: Mapping[str, Any]) -> Dialect:
    return _dialect().validate_python(shown)


def subject_of(text: str) -> Subject:
    """From ``zone:web1``. Raises PluginFailed."""
    kind, _, name = text.partition(":")
    if kind not in _KINDS or not name:
        raise PluginFailed(f"{text!r} is no subject: zone:NAME, network:NAME or gateway:NAME")
    return Subject(kind, name)  # type: ignore[arg-type]


def record_sent(record: Record, plugin: str) -> dict[str, Any]:
    """As `plugin` knows it: a record of its own under the kind it gave."""
    kind = record.kind.removeprefix(f"{plugin}/") if record.plugin == plugin else record.kind
    owner = str(record.owner)
    return {"kind": kind, "name": record.name, "owner": owner, "plugin": record.plugin, "facts": dict(record.facts)}


def records_received(shown: Iterable[Mapping[str, Any]]) -> Sequence[Record]:
    """Raises PluginFailed."""
    return [
        Record(each["kind"], each["name"], subject_of(each["owner"]), each["plugin"], each["facts"]) for each in shown
    ]
