"""zonehookd: the network of illumos zones follows the zones.

The story of one event. A source (`sources/`) notices something about a zone and says only *where to look*. The
dispatcher (`engine/dispatcher.py`) gathers such hints, many into one, and lets the reconciler look. A look
(`engine/look.py`) reads the host once, whatever the number of zones; the survey (`engine/survey.py`) turns what
`zoneadm` and `/etc/zones` say into zones, and `engine/attach.py` finds each NIC its network. Each plugin then
*observes* and *plans*: a plan is a list of steps, each with its why. The applier (`engine/applier.py`) carries out the
steps, the only code that changes the machine, and the subject is looked at again until its plan is empty.

Because a plan is a value, the dry run, the audit log, the tests and the real run are one path that stops at different
points. A zone that is gone is a zone in state *absent*, so building and clearing away are one method, and a missed
event costs time, not truth.

Imports point down: errors < model, config, log < illumos < host, store < plugin < engine < sources, bus, metrics < cli,
daemon. `tests/test_architecture.py` keeps it so.
"""

__version__ = "0.1.0"
