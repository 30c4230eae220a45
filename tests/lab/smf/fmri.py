"""Service names: their parts, and which of them a command's operand means [services 3.1, 3.3]."""

from __future__ import annotations

import fnmatch
from collections.abc import Iterable

_GLOB = set("*?[")


def split(fmri: str) -> tuple[str, str]:
    """``svc:/a/b:c`` as ("a/b", "c"); the instance is "" for a service's own name."""
    service, _, instance = fmri.removeprefix("svc:").lstrip("/").partition(":")
    return service, instance


def join(service: str, instance: str = "") -> str:
    return f"svc:/{service}:{instance}" if instance else f"svc:/{service}"


def is_pattern(operand: str) -> bool:
    return bool(_GLOB & set(operand))


def matches(operand: str, fmri: str) -> bool:
    """Whether `operand` means the instance `fmri`.

    A full name, a service's full name (all its instances), an abbreviation (the last parts of the service's name, with
    or without instance; ``:default`` alone), or an fnmatch pattern for any of these.
    """
    operand = operand.removesuffix("/") if operand.startswith("svc:") else operand
    return any(
        fnmatch.fnmatchcase(name, operand) if is_pattern(operand) else name == operand for name in _spellings(fmri)
    )


def _spellings(fmri: str) -> Iterable[str]:
    service, instance = split(fmri)
    yield fmri
    yield join(service)
    yield f":{instance}"
    parts = service.split("/")
    for at in range(len(parts)):
        tail = "/".join(parts[at:])
        yield tail
        yield f"{tail}:{instance}"


def log_name(fmri: str) -> str:
    """``network-ipfilter:default.log`` below /var/svc/log [services 3.8]."""
    service, instance = split(fmri)
    return f"{service.replace('/', '-')}:{instance}.log"
