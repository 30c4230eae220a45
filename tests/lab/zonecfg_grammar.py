"""The words of `zonecfg` and how they make commands [zones 4.2, 4.3].

A command ends at a newline or ``;``. There is no escape of any kind inside double quotes, and single quotes mean
nothing; so no value can hold a double quote or a newline.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from lab.world import Dialect

VERBS = (
    "add", "cancel", "clear", "commit", "create", "delete", "end", "exit", "export", "help", "info", "remove",
    "revert", "select", "set", "verify",
)  # fmt: skip

_BLANKS = re.compile(r"[ \t\r]+")
_WORD = re.compile(r'[^ \t\r\n";=\[\]()]+')
_LIST_WORD = re.compile(r'[^ \t\r\n",;=\[\]()]+')
_QUOTED = re.compile(r'"([^"\n]*)"')


class SyntaxTrouble(Exception):
    """`token` as the message shows it; `line` counts from 1."""

    def __init__(self, token: str, line: int) -> None:
        super().__init__(token)
        self.token = token
        self.line = line


@dataclass(frozen=True)
class Token:
    kind: str  # "word" | one of the characters = [ ] ( ) , | "end"
    text: str
    line: int
    quoted: bool = False


Complex = tuple[tuple[str, str], ...]  # (name, value) pairs between parentheses
Simple = str
Value = Simple | Complex | list[Simple | Complex]


@dataclass(frozen=True)
class Pair:
    """``prop=value``."""

    name: str
    value: Value


Argument = str | Pair | Complex | list[Simple | Complex]


@dataclass
class Command:
    verb: str
    arguments: list[Argument]
    line: int

    @property
    def words(self) -> list[str]:
        return [each for each in self.arguments if isinstance(each, str)]

    @property
    def pairs(self) -> list[Pair]:
        return [each for each in self.arguments if isinstance(each, Pair)]


@dataclass
class Reader:
    """Takes `text` apart, one command per `next`. A syntax error swallows the rest of its command."""

    text: str
    dialect: Dialect
    at: int = 0
    line: int = 1
    tokens: list[Token] = field(default_factory=list)

    def next(self) -> Command | None:
        """None at the end of the text. Raises `SyntaxTrouble`."""
        while self._skip_to_command():
            self.tokens = []
            trouble = self._scan()
            if trouble is not None:
                self._skip_command()
                raise trouble
            if len(self.tokens) > 1:
                return _Parser(self.tokens, self.dialect).command()
        return None

    def _skip_to_command(self) -> bool:
        """Past blanks, separators and comments; False at the end."""
        while self.at < len(self.text):
            here = self.text[self.at]
            if here == "#":
                end = self.text.find("\n", self.at)
                self.at = len(self.text) if end < 0 else end
            elif here in " \t\r;":
                self.at += 1
            elif here == "\n":
                self.at += 1
                self.line += 1
            else:
                return True
        return False

    def _skip_command(self) -> None:
        match = re.compile(r"[\n;]").search(self.text, self.at)
        self.at = match.start() if match else len(self.text)

    def _scan(self) -> SyntaxTrouble | None:
        """Tokens up to the end of the command."""
        depth = ""
        while self.at < len(self.text):
            here = self.text[self.at]
            if blanks := _BLANKS.match(self.text, self.at):
                self.at = blanks.end()
            elif here in "\n;":
                break
            elif here == '"':
                quoted = _QUOTED.match(self.text, self.at)
                if quoted is None or ("(" in depth and self.dialect is Dialect.VANILLA):
                    return SyntaxTrouble('"', self.line)
                self.tokens.append(Token("word", quoted[1], self.line, quoted=True))
                self.at = quoted.end()
            elif here in "=[]()" or (here == "," and depth):
                depth = depth + here if here in "[(" else depth[:-1] if here in "])" else depth
                self.tokens.append(Token(here, here, self.line))
                self.at += 1
            else:
                word = (_LIST_WORD if depth else _WORD).match(self.text, self.at)
                assert word is not None
                self.tokens.append(Token("word", word[0], self.line))
                self.at = word.end()
        shown = self.text[self.at] if self.at < len(self.text) else "\n"
        self.tokens.append(Token("end", "\\n" if shown == "\n" else shown, self.line))
        return None


class _Parser:
    def __init__(self, tokens: list[Token], dialect: Dialect) -> None:
        self.tokens = tokens
        self.at = 0

    def _peek(self) -> Token:
        return self.tokens[self.at]

    def _take(self, kind: str) -> Token:
        token = self._peek()
        if token.kind != kind:
            raise SyntaxTrouble(token.text, token.line)
        if token.kind != "end":
            self.at += 1
        return token

    def command(self) -> Command:
        verb = self._take("word")
        if verb.quoted or verb.text not in VERBS:
            raise SyntaxTrouble(verb.text, verb.line)
        arguments: list[Argument] = []
        while self._peek().kind != "end":
            if self._peek().kind in "[(":
                value = self._value()
                assert not isinstance(value, str)
                arguments.append(value)
                continue
            word = self._take("word")
            if self._peek().kind == "=":
                self._take("=")
                arguments.append(Pair(word.text, self._value()))
            else:
                arguments.append(word.text)
        return Command(verb.text, arguments, verb.line)

    def _value(self) -> Value:
        kind = self._peek().kind
        if kind == "[":
            return self._list()
        if kind == "(":
            return self._complex()
        return self._take("word").text

    def _list(self) -> list[Simple | Complex]:
        self._take("[")
        items: list[Simple | Complex] = []
        while self._peek().kind != "]":
            items.append(self._complex() if self._peek().kind == "(" else self._list_word())
            if self._peek().kind != "]":
                self._take(",")
        self._take("]")
        return items

    def _list_word(self) -> str:
        """A list item; ``nodev=1`` inside a list needs quotes on a real host too."""
        return self._take("word").text

    def _complex(self) -> Complex:
        self._take("(")
        pairs: list[tuple[str, str]] = []
        while True:
            name = self._take("word").text
            self._take("=")
            pairs.append((name, self._take("word").text))
            if self._peek().kind == ")":
                self._take(")")
                return tuple(pairs)
            self._take(",")
