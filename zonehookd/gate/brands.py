"""The gate in a brand's config.xml: a textual edit of three hooks, and its exact undoing (zones sheet 5.1). Pure.

A hook's text becomes

    $1;set -- STATE/gate RUN HOOK %z --;[ -x $1 ]&&[ -s $1 ]||set --;exec "$@" ORIGINAL

zoneadm and zoneadmd run it by ``sh -c 'exec TEXT ARGUMENTS'`` (5.1; gate usr/src/cmd/zoneadmd/zoneadmd.c
brand_prestatechg, do_subproc), and the shell has no ``$1`` then: an exec of nothing goes on with what follows. So the
gate's program is asked when it is there, and else the original runs by itself, with all that is appended. A folder that
was deleted, or a dataset that is not mounted, must hold up neither boot nor halt (5.4: never veto halts). An uninstall
is refused without the program: who depends cannot be known then, what is deleted does not come back, and a refusal
says how to be rid of it. An empty file is no program: a shell takes it for a script that says yes, whatever was asked.
Only what a shell does by itself is in it: no process more than the gate's own.

Where a brand has no such hook, a word instead of ``--`` says what was there before, so that it can be put back to the
byte: ``-`` an empty element, ``-closed`` one of the form ``<hook/>``, ``-added`` none at all. Bytes outside are
untouched. ``STATE/gate RUN HOOK %z -- ORIGINAL`` alone and the text without ``-s``, as it once was, are undone too.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from xml.etree import ElementTree
from xml.parsers import expat
from xml.sax.saxutils import escape

from zonehookd.errors import ZonehookError

# The DTD's order; a mistake disables all zones of the brand (5.1, trap 26).
ORDER = (
    "modname", "initname", "restartinit", "restartinit0", "restartinitreboot", "login_cmd", "forcedlogin_cmd",
    "user_cmd", "install", "installopts", "boot", "sysboot", "halt", "shutdown", "verify_cfg", "verify_adm",
    "postattach", "postclone", "postinstall", "predetach", "attach", "detach", "clone", "presnap", "postsnap",
    "validatesnap", "preuninstall", "uninstall", "prestatechange", "poststatechange", "query", "security-flags",
    "privilege",
)  # fmt: skip
HOOKS = ("preuninstall", "prestatechange", "poststatechange")
SIZE_MAX_BYTES = 1 << 20
_OWN, _EMPTY, _CLOSED, _ADDED = "--", "-", "-closed", "-added"
_REFUSED = (
    '{ echo "zonehookd: uninstall of zone $4 is refused: $1 is missing or cannot be run">&2;'
    'echo "  start zonehookd, which puts it back; or take the hook out: zonehookctl brand disable, or pkg fix where '
    'there is none">&2;exit 1;}'
)
_TEXT_MAX = 900  # after macros; libbrand's buffers hold about 1 KiB (5.1)
_MACROS = {"z": 63, "R": 256, "P": 64, "%": 1}  # how long what they stand for may well be
_WORDS = re.compile(rb"[A-Za-z0-9_./:,=@%+ -]*")  # all else may be shell syntax, XML, or the end of a command
_PATH = re.compile(r"/[A-Za-z0-9_./:,=@+-]+")
_ENCODINGS = (None, "utf-8", "us-ascii", "ascii", "iso-8859-1")


class BrandRefused(ZonehookError):
    """This config.xml is left as it is, and why."""

    code = "brand-refused"


class Damaged(BrandRefused):
    """It is none that libbrand takes (5.1, trap 26): no zone of the brand works by it, whoever edited it."""


@dataclass(frozen=True, slots=True)
class _Element:
    """Byte positions in the document: of its tag, of its content, and behind it. `closed`: it is ``<name/>``."""

    name: str
    begin: int
    content: int
    content_end: int
    end: int
    closed: bool


def gated(xml: bytes, gate: str, run: str) -> bytes:
    """`xml` with the gate in all three hooks; of a file that has it already, the same. `gate`: the program's path,
    `run`: the daemon's run folder. Raises BrandRefused; then nothing of it may be written.
    """
    for path in (gate, run):
        if not _PATH.fullmatch(path):
            raise BrandRefused(f"{path}: a shell would not take it for one word", hint="see [paths]")
    bare = ungated(xml)
    text = bare
    for hook in reversed(HOOKS):  # from the end, so that positions before stay good
        text = _with(text, hook, gate, run)
    _compare(bare, text, gate, run)
    return text


def ungated(xml: bytes) -> bytes:
    """`xml` as it was before `gated`; of a file without the gate, the same. Raises Damaged: no brand's file;
    BrandRefused: none that we read."""
    text = xml
    for hook in reversed(HOOKS):
        element = next((each for each in _elements(text) if each.name == hook), None)
        if element is None:
            continue
        content = text[element.content : element.content_end]
        ours = _ours(hook, content)
        if ours is None:
            continue
        mark = ours["mark"].decode()
        if mark == _ADDED:
            rest = text[element.end :]
            text = text[: element.begin] + rest.lstrip()
        elif mark == _CLOSED:
            tag = text[element.begin : element.content - 1]
            text = text[: element.begin] + tag + b"/>" + text[element.end :]
        else:
            text = text[: element.content] + content[ours.end() :] + text[element.content_end :]
    return text


def has_gate(xml: bytes) -> bool:
    """Raises BrandRefused."""
    return ungated(xml) != xml


def asked_at(xml: bytes) -> str | None:
    """The run folder where all three hooks ask; None: not all of them ask, or not at the same. Raises BrandRefused."""
    folders = set()
    for element in _elements(xml):
        if element.name in HOOKS:
            ours = _ours(element.name, xml[element.content : element.content_end])
            folders.add((element.name, ours["run"].decode() if ours else ""))
    runs = {run for _, run in folders}
    return runs.pop() if len(folders) == len(HOOKS) and len(runs) == 1 and runs != {""} else None


def name_of(xml: bytes) -> str:
    """The brand's name, which is that of its folder (5.1). Raises BrandRefused."""
    return _parsed(xml)[0]


def _text(hook: str, gate: str, run: str, mark: str) -> str:
    """What stands before the original; a blank follows where there is one."""
    missing = _REFUSED if hook == "preuninstall" else "set --" if mark == _OWN else "exit 0"
    return f'$1;set -- {gate} {run} {hook} %z {mark};[ -x $1 ]&&[ -s $1 ]||{missing};exec "$@"'


def _ours(hook: str, content: bytes) -> re.Match[bytes] | None:
    """Groups `run` and `mark`; what is behind its end is the original."""
    found = re.match(
        rb"(?P<now>\$1;set -- )?[^ <;]+/gate (?P<run>[^ <;]+) " + hook.encode() + rb" %z (?P<mark>--|-closed|-added|-)"
        rb'(?(now);\[ -x \$1 \](?:&amp;&amp;\[ -s \$1 \])?\|\|[^<]*?;exec "\$@")(?: |\Z)',
        content,
    )  # fmt: skip
    return found if found and (found["mark"] == _OWN.encode()) == (found.end() < len(content)) else None


def _with(xml: bytes, hook: str, gate: str, run: str) -> bytes:
    elements = list(_elements(xml))
    element = next((each for each in elements if each.name == hook), None)

    def text(mark: str) -> bytes:
        return escape(_text(hook, gate, run, mark)).encode()

    if element is None:
        at = _place(elements, hook)
        blank = xml[len(xml[:at].rstrip()) : at]
        made = f"<{hook}>".encode() + text(_ADDED) + f"</{hook}>".encode()
        return xml[:at] + made + blank + xml[at:]
    if element.closed:
        tag = xml[element.begin : element.content - 2]
        return xml[: element.begin] + tag + b">" + text(_CLOSED) + f"</{hook}>".encode() + xml[element.end :]
    original = xml[element.content : element.content_end]
    _check(hook, original, _text(hook, gate, run, _OWN))
    before = text(_OWN) + b" " if original else text(_EMPTY)
    return xml[: element.content] + before + xml[element.content :]


def _check(hook: str, original: bytes, before: str) -> None:
    shown = original.decode(errors="replace")
    hint = "ask its maker for a hook that is one plain command line"
    if not _WORDS.fullmatch(original):
        raise BrandRefused(f"{hook} is more than plain words: {shown!r}", hint=hint)
    if original and not original.lstrip().startswith(b"/"):
        raise BrandRefused(f"{hook} does not begin with the path of a program: {shown!r}", hint=hint)
    text = f"{before} {original.decode()}"
    length = len(text) + sum(text.count(f"%{macro}") * more for macro, more in _MACROS.items())
    if length > _TEXT_MAX:
        raise BrandRefused(f"{hook} would be {length} bytes long, and {_TEXT_MAX} are safe", hint="see [paths]")


def _place(elements: list[_Element], hook: str) -> int:
    """Where the DTD wants the hook: before the first element that comes after it."""
    rank = ORDER.index(hook)
    previous = None
    for each in elements:
        if each.name not in ORDER:
            previous = each
        elif ORDER.index(each.name) > rank:
            if previous is not None and previous.name not in ORDER:
                raise BrandRefused(f"whether {hook} comes before or after <{previous.name}> is not known")
            return each.begin
        else:
            previous = each
    raise BrandRefused(f"there is nothing that {hook} could stand before, not even <privilege>")


def _elements(xml: bytes) -> Iterator[_Element]:
    """What is right below <brand>, in order. Raises as `ungated`."""
    yield from _parsed(xml)[1]


def _parsed(xml: bytes) -> tuple[str, list[_Element]]:
    parser = expat.ParserCreate()
    found: list[_Element] = []
    path: list[str] = []
    begun: list[int] = []
    names: list[str] = []
    doctypes: list[str] = []
    faults: list[str] = []
    unread: list[str] = []

    def start(tag: str, attributes: dict[str, str]) -> None:
        path.append(tag)
        if len(path) == 1:
            names.append(attributes.get("name", "") if tag == "brand" else "")
        elif len(path) == 2:
            begun.append(parser.CurrentByteIndex)
            if tag in HOOKS and attributes:
                faults.append(f"<{tag}> has attributes")
        elif path[1] in HOOKS:
            faults.append(f"<{path[1]}> has elements in it")

    def end(tag: str) -> None:
        if len(path) == 2:
            begin = begun.pop()
            content = xml.index(b">", begin) + 1
            closed = xml[content - 2 : content - 1] == b"/"
            content_end = content if closed else parser.CurrentByteIndex
            behind = content if closed else xml.index(b">", content_end) + 1
            found.append(_Element(tag, begin, content, content_end, behind, closed))
        path.pop()

    def encoding(version: str, named: str | None, standalone: int) -> None:
        if named is not None and named.lower() not in _ENCODINGS:
            unread.append(f"it is written in {named}")

    parser.StartElementHandler = start
    parser.EndElementHandler = end
    parser.XmlDeclHandler = encoding
    parser.StartDoctypeDeclHandler = lambda doctype, *_: doctypes.append(doctype)
    if b"<!ENTITY" in xml:
        raise BrandRefused("it declares XML entities")
    if xml.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise BrandRefused("it is written in UTF-16")
    try:
        parser.Parse(xml, True)
    except (expat.ExpatError, ValueError, LookupError) as problem:
        if unread:
            raise BrandRefused(unread[0]) from problem
        raise Damaged(f"it is no XML: {problem}") from problem
    if unread:
        raise BrandRefused(unread[0])
    if doctypes != ["brand"] or not names or not names[0]:
        faults.append("it does not describe a brand")
    known = [each.name for each in found if each.name in ORDER]
    if [ORDER.index(name) for name in known] != sorted(ORDER.index(name) for name in known):
        faults.append("its elements are not in the order of the DTD")
    if any(known.count(hook) > 1 for hook in HOOKS):
        faults.append("it has a hook twice")
    if faults:
        raise Damaged(faults[0])
    return names[0], found


def _compare(before: bytes, after: bytes, gate: str, run: str) -> None:
    """What a reader of XML sees is what it was, but for the three hooks, which are as they should be. Raises
    BrandRefused."""
    was, now = _seen(before), _seen(after)
    for tag, _, text in now:
        if tag in HOOKS:
            original = next((each for name, _, each in was if name == tag), None)
            marks = (_OWN,) if original else (_ADDED,) if original is None else (_EMPTY, _CLOSED)
            behind = f" {original}" if original else ""
            if text not in {_text(tag, gate, run, mark) + behind for mark in marks}:
                raise BrandRefused(f"{tag} would read {text!r}")
    rest = [[each for each in one if each[0] not in HOOKS] for one in (was, now)]
    if rest[0] != rest[1] or {tag for tag, _, _ in now if tag in HOOKS} != set(HOOKS) or ungated(after) != before:
        raise BrandRefused("the edit would change more than the hooks")


def _seen(xml: bytes) -> list[tuple[str, dict[str, str], str]]:
    """(name, attributes, text) of whatever is right below <brand>."""
    _parsed(xml)
    root = ElementTree.fromstring(xml)  # noqa: S314 - a file of root's, and no entity is declared in a brand's DTD
    return [(each.tag, dict(each.attrib), "".join(each.itertext())) for each in root if isinstance(each.tag, str)]
