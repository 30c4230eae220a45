"""How fast, how large: measured in the lab, never asserted. `make bench`, or ``python -m bench`` (PYTHONPATH .:tests).

Each run of a measure gets a lab host of its own, which vanishes with everything in it; the real daemon runs there as a
process. Times of commands are those of the lab's journal (microseconds, taken where the command takes effect) and of
the daemon's audit log. What is compared is measured on the same host within the same run, and shown as a ratio.

What these numbers are not: an illumos. A lab command costs a process, a socket and a Python thread, not a kernel and
dlmgmtd; files lie on a tmpfs, so a durable write waits for no disk. Ratios and growth carry over, milliseconds do not.

    __main__.py     which measures, how often, the table, the raw samples
    one_zone.py     (a) one zone configured -> wired, with few and with many others
    storm.py        (b) many at once; rivals.py: the same links by `ip -batch` and by CNI
    many.py         (c) the start, (d) memory and idle CPU, at 1000 zones that need nothing
    look.py         (e) look and plan at 10 000 zones, in one process
    first_packet.py (f) booted -> leased, named, out; arrival.py: what the zone sees of it
    reservations.py (g) a reservation -> offered; discover.py: who asks for it
    rules.py        (h) SIGHUP -> NAT rules loaded
    gateways.py     the gateway of these three
    gate.py         (i) what the gate costs a boot
    proxies.py      (j) a zone healthy -> routed, halted -> not routed, and what clients notice; proxied.py: the scene;
                    witness.py: the client that times it; scripted.py: the ways of others
"""
