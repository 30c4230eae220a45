"""Answers of HTTP/1.1, as the bytes come in (RFC 9112)."""

from __future__ import annotations

HEAD_MAX = 65536  # bytes
KEPT = 4096  # bytes of the body that are kept; the rest is counted only


class MalformedAnswer(Exception):
    """What came is no HTTP/1.1 answer."""


class Answer:
    """One answer to a GET. `feed` it until it is `complete`; at the end of the connection ask `ends_well`."""

    __slots__ = (
        "_buffer",
        "_chunked",
        "_left",
        "_to_the_end",
        "body",
        "complete",
        "headers",
        "keep",
        "started",
        "status",
    )

    def __init__(self) -> None:
        self.status = 0
        self.headers: dict[bytes, bytes] = {}  # names in small letters
        self.body = b""  # its first KEPT bytes
        self.keep = True  # may the connection be used again
        self.started = False  # has any byte come
        self.complete = False
        self._buffer = b""
        self._left = -1  # bytes of the body or of the chunk still to come; -1: a head or a chunk's size comes next
        self._chunked = False
        self._to_the_end = False

    def feed(self, data: bytes) -> None:
        """Raises `MalformedAnswer`, also for bytes after the end, which nobody asked for."""
        self.started = True
        self._buffer = self._buffer + data if self._buffer else data
        if self.status == 0 and not self._head():
            return
        if self.complete:
            pass
        elif self._chunked:
            self._chunks()
        elif self._to_the_end:
            self._keep(self._buffer)
            self._buffer = b""
        else:
            self._take()
            self.complete = self._left == 0
        if self.complete and self._buffer and self.status != 101:
            raise MalformedAnswer(f"more than the answer: {self._buffer[:40]!r}")

    def ends_well(self) -> bool:
        """The connection was closed: was that the end of the body?"""
        self.complete = self.complete or self._to_the_end
        return self.complete

    def rest(self) -> bytes:
        """After a 101: what came behind the head."""
        return self._buffer

    def _head(self) -> bool:
        head, end, rest = self._buffer.partition(b"\r\n\r\n")
        if not end:
            if len(head) > HEAD_MAX or not b"HTTP/1.".startswith(head[:7]):
                raise MalformedAnswer(f"no head of an answer: {head[:40]!r}")
            return False
        self._buffer = rest
        first, *lines = head.split(b"\r\n")
        version, _, words = first.partition(b" ")
        code = words[:3]
        if version not in (b"HTTP/1.1", b"HTTP/1.0") or len(code) != 3 or not code.isdigit() or words[3:4].strip():
            raise MalformedAnswer(f"no status line: {first[:40]!r}")
        status = int(code)
        if 100 <= status < 200 and status != 101:
            return self._buffer != b"" and self._head()  # interim: the answer itself follows
        headers = self.headers
        for line in lines:
            name, colon, value = line.partition(b":")
            if not colon or not name or name.strip() != name:
                raise MalformedAnswer(f"no header: {line[:40]!r}")
            name, value = name.lower(), value.strip()
            headers[name] = headers[name] + b", " + value if name in headers else value
        self.status = status
        self._framing(version)
        return True

    def _framing(self, version: bytes) -> None:
        headers = self.headers
        options = headers.get(b"connection", b"").lower()
        self.keep = b"close" not in options and (version == b"HTTP/1.1" or b"keep-alive" in options)
        length = headers.get(b"content-length")
        if self.status in (101, 204, 304):
            self.complete = True
        elif b"transfer-encoding" in headers:
            if headers[b"transfer-encoding"].lower() != b"chunked":
                raise MalformedAnswer(f"transfer-encoding: {headers[b'transfer-encoding']!r}")
            self._chunked = True
        elif length is None:
            self._to_the_end, self.keep = True, False
        elif not length.isdigit():
            raise MalformedAnswer(f"content-length: {length!r}")
        else:
            self._left = int(length)

    def _keep(self, data: bytes) -> None:
        if len(self.body) < KEPT:
            self.body += data[: KEPT - len(self.body)]

    def _take(self) -> None:
        data = self._buffer[: self._left]
        self._buffer = self._buffer[self._left :]
        self._left -= len(data)
        self._keep(data)

    def _chunks(self) -> None:
        while True:
            if self._left > 0:
                self._take()
                if self._left:
                    return
            if self._left == 0:  # the line end behind a chunk
                if len(self._buffer) < 2:
                    return
                if self._buffer[:2] != b"\r\n":
                    raise MalformedAnswer(f"a chunk without its end: {self._buffer[:40]!r}")
                self._buffer, self._left = self._buffer[2:], -1
            line, end, rest = self._buffer.partition(b"\r\n")
            if not end:
                if len(line) > HEAD_MAX:
                    raise MalformedAnswer("a chunk's size without end")
                return
            try:
                size = int(line.partition(b";")[0].strip(b" \t"), 16)
            except ValueError:
                size = -1
            if size < 0:
                raise MalformedAnswer(f"a chunk's size: {line[:40]!r}")
            if size == 0:
                if rest[:2] == b"\r\n":
                    self._buffer, self.complete = rest[2:], True
                else:  # trailers, which we do not read
                    _, end, behind = rest.partition(b"\r\n\r\n")
                    if end:
                        self._buffer, self.complete = behind, True
                return
            self._buffer, self._left = rest, size
