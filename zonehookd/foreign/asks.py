"""What a worker asks while it works on a call: commands that look, and records. Answered by the look it is part of."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from zonehookd.engine.look import Look
from zonehookd.errors import CannotObserve
from zonehookd.foreign.faults import Fault
from zonehookd.model.command import Query, Reply
from zonehookd.wire.messages import AnswerFrame, Ask, CommandQuestion, RecordQuestion
from zonehookd.wire.steps import own_kind
from zonehookd.wire.views import record_sent

ASKS_MAX, ASKS_EACH = 1000, 10  # of one call: that many, and so many more for each subject
_ANSWER_MAX_BYTES = 8 << 20
_ANSWERS_MAX_BYTES = 64 << 20  # of one call: a worker that asks and does not read shall not fill our memory


class Asks:
    """The questions of one call. `send` hands an answer to the worker."""

    def __init__(
        self, plugin: str, user: str, look: Look, subjects: int, send: Callable[[AnswerFrame], Awaitable[int]]
    ) -> None:
        self._plugin = plugin
        self._user = user
        self._look = look
        self._most = ASKS_MAX + ASKS_EACH * subjects
        self._send = send
        self._asked = 0
        self._sent_bytes = 0
        self._tasks: set[asyncio.Task[None]] = set()

    def take(self, ask: Ask, broke: Callable[[Fault], None]) -> None:
        """Raises Fault; what goes wrong later `broke` is told."""
        self._asked += 1
        if self._asked > self._most:
            raise Fault("protocol", f"asked more than {self._most} questions in one call")
        task = asyncio.ensure_future(self._answer(ask, broke))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def close(self) -> None:
        """What is being asked is given up."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)

    async def _answer(self, ask: Ask, broke: Callable[[Fault], None]) -> None:
        frame = AnswerFrame(id=ask.id, ask=ask.ask)
        try:
            match ask.question:
                case CommandQuestion() as question:
                    frame = frame.model_copy(update={"answer": await self._command(question)})
                case RecordQuestion() as question:
                    frame = frame.model_copy(update={"answer": self._record(question)})
        except CannotObserve as problem:
            frame = frame.model_copy(update={"error": str(problem)})
        except Exception as problem:  # an argument that no command can have: who asked is told, and not left waiting
            frame = frame.model_copy(update={"error": f"this could not be asked: {problem!r}"})
        try:
            self._sent_bytes += await self._send(frame)
            if self._sent_bytes > _ANSWERS_MAX_BYTES:
                raise Fault("protocol", f"asked for more than {_ANSWERS_MAX_BYTES >> 20} MiB of answers in one call")
        except Fault as fault:
            broke(fault)

    async def _command(self, question: CommandQuestion) -> dict[str, object]:
        reply: Reply = await self._look.ask(
            Query(
                tuple(question.argv),
                parse=lambda reply: reply,
                timeout_s=question.timeout_s,
                stdin=question.stdin,
                lane=f"plugin {self._plugin}",
                user=self._user,
                raw=True,
            )
        )
        if len(reply.stdout) + len(reply.stderr) > _ANSWER_MAX_BYTES:
            raise CannotObserve(
                f'"{" ".join(question.argv)}" printed more than {_ANSWER_MAX_BYTES >> 20} MiB, which is not sent'
            )
        return {"status": reply.status, "stdout": reply.stdout, "stderr": reply.stderr}

    def _record(self, question: RecordQuestion) -> dict[str, object]:
        """By the kind it gave itself, else by the kind of another's."""
        one = self._look.store.one
        record = one(own_kind(self._plugin, question.kind), question.name) or one(question.kind, question.name)
        return {"record": None if record is None else record_sent(record, self._plugin)}
