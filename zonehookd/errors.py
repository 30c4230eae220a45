"""Every error of the product, in one tree.

    ZonehookError
    ├── NotFound             there is none of that name
    ├── ConfigError          the configuration is wrong: file, key, expected, found
    ├── PluginRefused        a plugin does not fit the contract; found while loading
    ├── PluginFailed         a plugin raised: its bug, walled off
    ├── CannotObserve        a look failed. Never to be read as "it is not there"
    └── CannotApply          a step failed
        causes, for both:
        CommandError
        ├── CommandNotFound
        ├── CommandFailed    ran, and said no
        └── CommandTimedOut

Only `cli` and `__main__` turn errors into exit codes.
"""

from __future__ import annotations

import shlex
from collections.abc import Sequence

_SAID_MAX = 600


def last_of(text: str) -> str:
    """The end of what a program said, for a message: bounded, and without what would steer a terminal. Whoever is root
    in a zone decides what is said there, and messages are kept, and read by the host's admin."""
    said = text.strip()[-_SAID_MAX:]
    return "".join(each if each.isprintable() or each in "\n\t" else "?" for each in said)


def raised(problem: BaseException) -> str:
    """As code shows it; of a syntax error not the place, which is said where a person finds it."""
    return f"{type(problem).__name__}({problem.msg!r})" if isinstance(problem, SyntaxError) else repr(problem)


class ZonehookError(Exception):
    """`hint` is the way out, when one is known. `code`: what it is, for programs; stable."""

    code = "refused"

    def __init__(self, message: str, *, hint: str = "", code: str = "") -> None:
        super().__init__(message)
        self.hint = hint
        self.code = code or self.code

    def __str__(self) -> str:
        text = super().__str__()
        return f"{text} (hint: {self.hint})" if self.hint else text


class NotFound(ZonehookError):
    code = "not-found"


class ConfigError(ZonehookError):
    code = "configuration"


class PluginRefused(ZonehookError):
    code = "plugin-refused"


class PluginFailed(ZonehookError):
    code = "plugin-failed"


class CannotObserve(ZonehookError):
    code = "cannot-look"


class CannotApply(ZonehookError):
    code = "cannot-apply"


class CommandError(ZonehookError):
    """`what` became of it, without its command line."""

    code = "command-failed"

    def __init__(self, argv: Sequence[str], message: str, *, hint: str = "") -> None:
        super().__init__(f'"{shlex.join(argv)}" {message}', hint=hint)
        self.argv = tuple(argv)
        self.what = message


class CommandNotFound(CommandError):
    pass


class CommandTimedOut(CommandError):
    pass


class CommandFailed(CommandError):
    """`status` is the exit status, `stderr` what it said (stripped; in the text itself only its end)."""

    def __init__(self, argv: Sequence[str], status: int, stderr: str) -> None:
        super().__init__(argv, f"exited {status}: {last_of(stderr) or 'without a word'}")
        self.status = status
        self.stderr = stderr.strip()
