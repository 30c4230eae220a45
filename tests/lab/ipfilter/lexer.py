"""The words of ipnat.conf and ipf.conf [services 1.5, 1.9].

Newline is white space. A comment is a token of its own, because the grammars allow it between rules only.
"""

from __future__ import annotations

import enum
import re
from dataclasses import dataclass

from lab.world import NotEmulated


class Kind(enum.Enum):
    WORD = "word"
    SIGN = "sign"
    COMMENT = "comment"
    END = "end"


@dataclass(frozen=True)
class Token:
    kind: Kind
    text: str  # as written; "" at the end of the file
    line: int  # counted from 1; 1 again at the end of the file

    @property
    def word(self) -> str:
        """Lower case if this is a word, else ""."""
        return self.text.lower() if self.kind is Kind.WORD else ""


class SyntaxTrouble(Exception):
    """The text is not a rule file; `str()` is the whole complaint, without the newline [services 1.14]."""

    def __init__(self, message: str, token: Token) -> None:
        super().__init__(f'{message} error at "{token.text}", line {token.line}')


_PIECES = re.compile(
    r"""
      (?P<space>[ \t\r\f\v]+)
    | (?P<newline>\n)
    | (?P<comment>\#[^\n]*)
    | (?P<variable>\$(?:\{[A-Za-z0-9_]+\}|[A-Za-z0-9_]+))
    | (?P<ipv6>[0-9A-Fa-f]*:[0-9A-Fa-f]*:[0-9A-Fa-f:.]*)
    | (?P<number>[0-9][0-9A-Za-z.]*)
    | (?P<word>[A-Za-z_](?:(?!->)[A-Za-z0-9_.-])*)
    | (?P<sign>->|<>|><|<=|>=|!=|[-;,=!<>/:(){}@*%])
    """,
    re.VERBOSE,
)


class Lexer:
    """Gives one token after another; a variable is replaced when it is met [services 1.5]."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._line = 1
        self._waiting: list[Token] = []
        self.variables: dict[str, str] = {}

    @property
    def blank(self) -> bool:
        """White space and nothing else, but not nothing at all."""
        return bool(self._text) and not self._text.strip()

    def next(self) -> Token:
        if self._waiting:
            return self._waiting.pop(0)
        while self._at < len(self._text):
            match = _PIECES.match(self._text, self._at)
            if match is None:
                return self._unknown()
            self._at = match.end()
            text = match.group()
            match match.lastgroup:
                case "space":
                    continue
                case "newline":
                    self._line += 1
                case "comment":
                    return Token(Kind.COMMENT, text, self._line)
                case "variable":
                    return self._replaced(text)
                case "sign":
                    return Token(Kind.SIGN, text, self._line)
                case _:
                    return Token(Kind.WORD, text, self._line)
        return Token(Kind.END, "", 1)

    def value(self) -> str:
        """The value of an assignment: one unquoted word up to white space or ``;``."""
        match = re.compile(r"[ \t]*([^\s;\"'#]*)").match(self._text, self._at)
        assert match is not None
        self._at = match.end()
        return match.group(1)

    def _unknown(self) -> Token:
        character = self._text[self._at]
        if character in "\"'":
            raise NotEmulated("quoted words in rules [services 1.5]")
        self._at += 1
        return Token(Kind.SIGN, character, self._line)

    def _replaced(self, text: str) -> Token:
        name = text.strip("${}")
        inner = Lexer(self.variables.get(name, ""))
        tokens = []
        while (token := inner.next()).kind is not Kind.END:
            tokens.append(Token(token.kind, token.text, self._line))
        if not tokens:
            raise NotEmulated(f"the variable {name!r} without a value [services 1.5]")
        self._waiting = tokens[1:] + self._waiting
        return tokens[0]


class Parser:
    """One token of look-ahead over a `Lexer`, and the few moves both grammars are made of."""

    def __init__(self, text: str) -> None:
        self.lexer = Lexer(text)
        self.token = self.lexer.next()

    def trouble(self, message: str = "syntax error", token: Token | None = None) -> SyntaxTrouble:
        """To be raised; `token` is the one that is named, the look-ahead by default."""
        return SyntaxTrouble(message, token or self.token)

    def take(self) -> Token:
        """The look-ahead, which is used up."""
        taken = self.token
        self.token = self.lexer.next()
        return taken

    def accept(self, *texts: str) -> str:
        """The look-ahead in lower case if it is one of `texts`, used up; else ""."""
        text = self.token.text.lower()
        if self.token.kind in (Kind.WORD, Kind.SIGN) and text in texts:
            self.take()
            return text
        return ""

    def expect(self, *texts: str) -> str:
        text = self.accept(*texts)
        if not text:
            raise self.trouble()
        return text

    def number(self, most: int = 0xFFFFFFFF, message: str = "syntax error") -> int:
        if not self.token.text.isdigit():
            raise self.trouble()
        if int(self.token.text) > most:
            raise self.trouble(message)
        return int(self.take().text)

    def assignment(self) -> bool:
        """``NAME = VALUE ;`` with the look-ahead on NAME; False when it cannot be one."""
        if self.token.kind is not Kind.WORD or not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", self.token.text):
            return False
        name = self.take().text
        if self.token.text != "=":
            raise self.trouble()
        self.lexer.variables[name] = self.lexer.value()
        self.take()
        self.expect(";")
        return True
