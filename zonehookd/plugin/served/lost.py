"""What the files tell of a server: where our books tell nothing, for it is new to us, or the books were lost; and of
what its admin has added to them since. Pure."""

from __future__ import annotations

from dataclasses import replace

from zonehookd.plugin.served.book import Book
from zonehookd.plugin.served.look import MAINTENANCE, Seen, contract_of
from zonehookd.plugin.served.server import Generation, Server, short_hash


def served_nobody(server: Server, seen: Seen) -> bool:
    """Before us. At first sight only, the main file tells, too: one that runs although it could not start with it, and
    nothing in it is ours, has another main file than we think, and serves its admin."""
    assert seen.service is not None
    main, state = seen.files[server.main], seen.service.state
    if state == "disabled" or seen.book.exists:
        return state == "disabled"
    return server.left_in(main) or (state == MAINTENANCE and not server.starts(server.without_us(main) or ""))


def found_again(server: Server, wish: Generation, seen: Seen) -> Book:
    """What our books would say: it runs with just what is wanted, so it was told by us."""
    assert seen.service is not None
    book, blank = seen.book, not (server.without_us(seen.files[server.main]) or "").strip()
    enabled = book.enabled or served_nobody(server, seen)
    return replace(
        book,
        good=wish,
        contract=contract_of(seen.service),
        wanted=wish.digest,
        enabled=enabled,
        former=book.former or (digest_without_us(server, seen) if enabled else ""),
        made_main=book.made_main or (not book.exists and blank),
        before={**dict.fromkeys(wish.settings), **book.before},
    )


def digest_without_us(server: Server, seen: Seen) -> str:
    return short_hash(server.without_us(seen.files[server.main]) or "")


def serves_others_now(server: Server, seen: Seen) -> bool:
    """It served nobody before us, and does without us: its admin has added something to the main file meanwhile. One
    that is as it was then says nothing, for the delivered one may have an example in it."""
    if seen.book.former in ("", digest_without_us(server, seen)):
        return False
    return server.serves(server.without_us(seen.files[server.main]) or "")
