"""Our configuration in somebody's service: a file of ours, one marked block in the main file that includes it, and data
files that a running server reads again on SIGHUP.

    observe(server, wanted, subject, host) -> Seen     what is on disk, what the service does, what its own test says
    plan(server, wanted, seen) -> Plan                 pure

What it keeps, whatever the server (services sheet 7):

- foreign configuration byte for byte; files of ours that somebody else made are refused, not overwritten;
- a candidate passes the server's own test, in its zone, before it replaces anything. If it does not, the old one stays
  and the refusal carries the server's words. It is tried again when its content changes;
- *done* is observed: after a restart the service is online under a new contract. Our record says which content the
  server has read, so being killed between any two steps costs one more restart at worst;
- a server that can reload lets go of nobody: it is told by signal, and says itself which digest it has read;
- content with which the server does not come up is taken back: what was good before, or nothing of ours;
- a service that served nobody before us is disabled when we leave: it was disabled, or had nothing to start with; but
  not where its admin has added something to its main file since, with which it serves. Where
  its zone was created again over old files of ours, no record says so, and the main file does;
- what it did not come up with is tried again when something else is wanted; and every minute where it serves nobody
  but us;
- a property we set gets its former value.
"""

from zonehookd.plugin.served.book import KIND, Book
from zonehookd.plugin.served.look import Seen, observe, runs
from zonehookd.plugin.served.server import (
    ABSENT,
    CONTENT,
    GENERATION,
    TOP,
    Embed,
    Reload,
    Server,
    Setting,
    Wanted,
    join,
)
from zonehookd.plugin.served.steps import plan

__all__ = [
    "ABSENT", "CONTENT", "GENERATION", "KIND", "TOP", "Book", "Embed", "Reload", "Seen", "Server", "Setting", "Wanted",
    "join", "observe", "plan", "runs",
]  # fmt: skip
