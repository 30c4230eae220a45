"""Where nothing can be served: the service is missing, or what lies there is somebody else's. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from zonehookd.model.plan import Forget, Note, Plan, Step
from zonehookd.plugin import where as files_of
from zonehookd.plugin.served.book import KIND
from zonehookd.plugin.served.look import Seen
from zonehookd.plugin.served.server import HEADER, Server, Wanted

_INSTALLED_S = 10.0


def no_service(server: Server, wanted: Wanted | None, seen: Seen) -> Plan:
    if wanted is None:
        gone = f"{server.fmri} is gone from zone {server.where}"
        removed = [*clear_away(server, seen, gone)]
        return Plan((*removed, Forget(KIND, server.key, gone)))
    text = f"{server.name} is not in zone {server.where}: it has no service {server.fmri}"
    hint = f"install {server.package or server.name} there, or let another server do it"
    return Plan(notes=(Note("refused", text, "no-service", server.fmri, hint),))


def not_installed(server: Server) -> Plan:
    """The service is there, and not its program: a package that is half removed, or another path. Nothing says when it
    comes."""
    text = f"{server.name} is not installed in zone {server.where}: there is no {server.test[0]}"
    hint = f"install {server.package or server.name} there, or say where the plugin finds it"
    return Plan(notes=(Note("refused", text, "not-installed", server.fmri, hint, _INSTALLED_S),))


def foreign_files(server: Server, wanted: Wanted | None, seen: Seen) -> Plan | None:
    """Files we would have to overwrite, and that are not ours; a main file that has no place for our lines, or in which
    they do not pair."""
    for path in (server.config, *server.data):
        content = seen.files.get(path)
        if content is not None and not seen.book.exists and not content.startswith(HEADER):
            text = f"{path} in zone {server.where} was not made by us, and is left as it is"
            hint = "move it away, or give the plugin another folder"
            return Plan(notes=(Note("refused", text, "foreign-file", str(path), hint),))
    try:
        if wanted is not None:
            server.with_us(seen.files[server.main], server.config)
        else:
            server.without_us(seen.files[server.main])
    except ValueError as problem:
        text = f"{server.main} in zone {server.where}: {problem}"
        return Plan(notes=(Note("refused", text, "broken-block", str(server.main), "mend those lines"),))
    return None


def clear_away(server: Server, seen: Seen, why: str) -> Iterator[Step]:
    """Files of ours that nobody reads."""
    for path in (server.candidate, server.main_candidate, server.config, *server.data):
        if seen.files.get(path) is not None:
            yield files_of.remove_file(server.where, path, why=why)
