"""Whether a name server answers: one question over UDP, which the server can answer without asking anybody."""

from __future__ import annotations

import asyncio
import secrets
from ipaddress import IPv4Address, IPv6Address

_PORT = 53
_HEADER_BYTES = 12
_QUESTION, _ANSWER = b"\x01\x00", 0x80  # flags: recursion desired; the bit that marks an answer
_PTR_IN = b"\x00\x0c\x00\x01"


async def answers(server: IPv4Address | IPv6Address, timeout_s: float = 1.0, port: int = _PORT) -> bool:
    """Asks `server` for its own name, twice at most. Any answer will do, also that there is none."""
    ident = secrets.token_bytes(2)
    labels = server.reverse_pointer.split(".")
    name = b"".join(bytes([len(label)]) + label.encode() for label in labels) + b"\0"
    question = ident + _QUESTION + b"\x00\x01\x00\x00\x00\x00\x00\x00" + name + _PTR_IN
    heard: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
    try:
        transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(
            lambda: _Ear(heard, ident), remote_addr=(str(server), port)
        )
    except OSError:
        return False
    try:
        for _ in range(2):
            transport.sendto(question)
            done, _ = await asyncio.wait([heard], timeout=timeout_s / 2)
            if done:
                return heard.result()
        return False
    finally:
        transport.close()


class _Ear(asyncio.DatagramProtocol):
    def __init__(self, heard: asyncio.Future[bool], ident: bytes) -> None:
        self._heard, self._ident = heard, ident

    def datagram_received(self, data: bytes, addr: object) -> None:
        if len(data) >= _HEADER_BYTES and data[:2] == self._ident and data[2] & _ANSWER and not self._heard.done():
            self._heard.set_result(True)

    def error_received(self, exc: Exception) -> None:
        """Nobody listens there: the kernel was told so."""
        if not self._heard.done():
            self._heard.set_result(False)
