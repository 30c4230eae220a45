"""A server that does to its clients what they ask for, by the path; on a thread and an event loop of its own."""

from __future__ import annotations

import asyncio
import socket
import struct
import threading
import time
from collections.abc import Callable, Coroutine
from types import TracebackType
from typing import Any

ZONE = "web1"


def answer(body: str, status: str = "200 OK", more: str = "") -> bytes:
    return f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n{more}\r\n{body}".encode()


PLAIN = {
    "/": answer(f"{ZONE}\n"),
    "/503": answer("no server\n", "503 Service Unavailable"),
    "/404": answer("", "404 Not Found"),
    "/wrong": answer("web2\n"),
    "/nobody": answer(""),
    "/malformed": b"SSH-2.0-OpenSSH_9.2\r\n",
    "/twice": answer(f"{ZONE}\n") * 2,
    "/chunked": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2;x=y\r\nwe\r\n3\r\nb1\n\r\n0\r\nX: y\r\n\r\n",
}
AND_CLOSE = {  # the connection ends behind these bytes
    "/closed": b"",
    "/short": answer(f"{ZONE} and more\n")[:-5],
    "/short-head": b"HTTP/1.1 200 OK\r\nContent-Le",
    "/short-chunked": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nweb1\n\r\n",
    "/to-the-end": f"HTTP/1.0 200 OK\r\n\r\n{ZONE}\n".encode(),
    "/keep-not": answer(f"{ZONE}\n"),  # says nothing of it
}
GREETINGS = {"/ws-greets": b"web1\nping 7\ntick\n", "/ws-greets-wrong": b"web2\n"}
UPGRADED = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n"


def reset(writer: asyncio.StreamWriter) -> None:
    sock: socket.socket = writer.get_extra_info("socket")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


class Server:
    """`at` and `tcp` are its ports on 127.0.0.1. `/later` is 503 the first `wrong_first` times, and `wrong_again`."""

    def __init__(self) -> None:
        self.at = 0
        self.tcp = 0
        self.wrong_first = 0
        self.wrong_again = range(0)  # of the requests for `/later`, by number
        self.right_since = 0.0  # time.time(): when the last wrong one of the first was answered
        self._later = 0
        self._cuts = 0
        self._cut = asyncio.Event()
        self.requests = 0
        self.connections = 0
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._open: set[asyncio.StreamWriter] = set()
        self._servers: list[asyncio.Server] = []

    def __enter__(self) -> Server:
        self._thread.start()
        self.at = self.listen(self._http)
        self.tcp = self.listen(self._lines)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._do(self._end())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _do(self, deed: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(deed, self._loop).result(10)

    async def _end(self) -> None:
        for server in self._servers:
            server.close()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)
        for writer in self._open:
            writer.transport.abort()
        await asyncio.sleep(0)

    def listen(
        self,
        serve: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Coroutine[Any, Any, None]],
        at: socket.socket | None = None,
    ) -> int:
        """`at`: bound already; without it, on a free port. Returns the port."""
        if at is None:
            at = socket.socket()
            at.bind(("127.0.0.1", 0))

        async def start() -> None:
            self._servers.append(await asyncio.start_server(self._guarded(serve), sock=at, backlog=1024))

        self._do(start())
        number: int = self._servers[-1].sockets[0].getsockname()[1]
        return number

    def listen_at(self, sock: socket.socket) -> None:
        """As HTTP, on a socket that is bound: so far who connects there is refused."""
        self.listen(self._http, sock)

    def stall(self, seconds: float) -> None:
        """Nothing at all happens for so long."""
        self._loop.call_soon_threadsafe(time.sleep, seconds)

    def cut(self) -> None:
        """Close, reset and silence the long connections that there are, as their paths say."""

        def now() -> None:
            self._cuts += 1
            self._cut.set()
            self._cut.clear()

        self._loop.call_soon_threadsafe(now)

    def _guarded(
        self, serve: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Coroutine[Any, Any, None]]
    ) -> Callable[[asyncio.StreamReader, asyncio.StreamWriter], Coroutine[Any, Any, None]]:
        async def guarded(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            self.connections += 1
            self._open.add(writer)
            try:
                await serve(reader, writer)
            except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
                pass  # the client went away, or the test is over
            finally:
                self._open.discard(writer)
                writer.close()

        return guarded

    async def _http(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        first = True
        while True:
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            self.requests += 1
            path = head.split()[1]
            close = "connection: close" in head.lower()
            if not await self._answer(path, first, writer, reader) or close:
                return
            first = False

    async def _answer(self, path: str, first: bool, writer: asyncio.StreamWriter, reader: asyncio.StreamReader) -> bool:
        """Is the connection to stay open."""
        if path in PLAIN:
            writer.write(PLAIN[path])
        elif path in AND_CLOSE:
            writer.write(AND_CLOSE[path])
            return False
        elif path == "/reset":
            reset(writer)
            return False
        elif path == "/reset-within":
            writer.write(AND_CLOSE["/short"])
            await asyncio.sleep(0.02)
            reset(writer)
            return False
        elif path == "/hang":
            await asyncio.sleep(60)
        elif path == "/slow":
            await asyncio.sleep(0.1)
            for byte in PLAIN["/"]:
                writer.write(bytes([byte]))
                await asyncio.sleep(0.001)
        elif path == "/once":  # closes when it is asked a second time
            if not first:
                return False
            writer.write(PLAIN["/"])
        elif path == "/later":
            number = self._later
            self._later += 1
            if number == self.wrong_first:
                self.right_since = time.time()
            wrong = number < self.wrong_first or number in self.wrong_again
            writer.write(PLAIN["/503" if wrong else "/"])
        elif path.startswith("/ws"):
            writer.write(UPGRADED)
            await self._talk(path, reader, writer)
            return False
        else:
            raise AssertionError(path)
        return True

    async def _talk(self, path: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """What comes goes back, in the way the path says."""
        cuts = self._cuts
        before = {"/ws-named": b"web1 ", "/ws-wrong": b"web2 "}.get(path, b"")
        if path in GREETINGS:
            writer.write(GREETINGS[path])
        while line := await reader.readline():
            if path == "/ws-silent" and self._cuts > cuts:
                continue
            writer.write(before + line)
            if path in ("/ws-cut", "/ws-reset"):
                await self._cut.wait()
                if path == "/ws-reset":
                    reset(writer)
                return

    async def _lines(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"db1 greets\n")
        await self._talk("/ws", reader, writer)
