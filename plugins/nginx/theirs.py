"""Where an admin's own servers listen, beside ours."""

from __future__ import annotations

from collections.abc import Collection

from zonehookd.illumos import nginx
from zonehookd.model.route import Proxy
from zonehookd.plugin import GLOBAL, CannotObserve, GatewayView, HostReader, served
from zonehookd.plugin import where as files_of


async def theirs(
    gateway: GatewayView, proxy: Proxy, server: served.Server, host: HostReader
) -> Collection[tuple[str, int]]:
    """As `illumos.nginx.listens` has it, of the main file alone. Where ours listen everywhere nobody asks: that would
    cost a command in every look, and an admin who listens on everything, too, is not hidden by us."""
    if gateway.name != GLOBAL and not proxy.listen:
        return ()
    try:
        files = await files_of.read_files(server.where, (server.main,), host)
        return nginx.listens(server.without_us(files[server.main]) or "")
    except (CannotObserve, ValueError):
        return ()  # `served` has a word about it
