"""/metrics, /healthz and /readyz, on a thread of their own."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from socketserver import ThreadingMixIn
from threading import Thread
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from prometheus_client.exposition import make_wsgi_app

from zonehookd.errors import ConfigError
from zonehookd.metrics.listener import Metrics


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True


class _Quiet(WSGIRequestHandler):
    timeout = 10.0  # a client that says nothing does not keep its thread

    def log_message(self, format: str, *args: Any) -> None:
        pass


def serve(listen: str, metrics: Metrics, alive: Callable[[], bool], ready: Callable[[], bool]) -> _Server:
    """/metrics, /healthz, /readyz on a thread of their own. Raises ConfigError when it cannot listen."""
    host, _, port = listen.rpartition(":")
    show = make_wsgi_app(metrics.registry)

    def app(environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        path = environ.get("PATH_INFO", "")
        if path == "/metrics":
            shown: Iterable[bytes] = show(environ, start)
            return shown
        checks = {"/healthz": alive, "/readyz": ready}
        good = path in checks and checks[path]()
        start("200 OK" if good else "503 Service Unavailable" if path in checks else "404 Not Found",
              [("Content-Type", "text/plain")])  # fmt: skip
        return [b"ok\n" if good else b"no\n"]

    try:
        server = make_server(host.strip("[]"), int(port), app, server_class=_Server, handler_class=_Quiet)
    except (OSError, ValueError, OverflowError) as problem:
        raise ConfigError(f"metrics.listen: cannot listen on {listen!r}: {problem}") from problem
    Thread(target=server.serve_forever, name="metrics", daemon=True).start()
    return server
