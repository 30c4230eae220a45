"""nc(1): the machine's OpenBSD netcat, made to behave as illumos' older one.

After the end of its input it closes that half of the connection and goes on reading until the peer closes. `-w` bounds
the waiting for data and not a connect.
"""

from __future__ import annotations

from lab import real_programs
from lab.call import Call
from lab.getopt import UNKNOWN, getopt
from lab.world import NotEmulated

_OPTIONS = "46DdhiklnPprsTtUuvwXxz"
_WITH_VALUE = "iPpsTwXx"
_ELSEWHERE = set("DPTtXx")  # they mean other things to the machine's
USAGE = """usage: nc [-46DdhklnrtUuvz] [-i interval] [-P proxy_username] [-p port]
\t  [-s source_ip_address] [-T ToS] [-w timeout] [-X proxy_protocol]
\t  [-x proxy_address[:port]] [hostname] [port[s]]
"""


def main(call: Call) -> int:
    spelled = "".join(f"{letter}:" if letter in _WITH_VALUE else letter for letter in _OPTIONS)
    options, operands = getopt(call.argv[1:], spelled)
    letters = {option.letter for option in options}
    for option in options:
        if option.letter == UNKNOWN:
            call.err(f"nc: illegal option -- {option.text[1:]}\n")
    if not operands or "h" in letters or UNKNOWN in letters:
        call.err(USAGE)
        return 1
    for letter in sorted(letters & _ELSEWHERE):
        raise NotEmulated(f"nc -{letter}")
    raise real_programs.become(call, ["-N", *call.argv[1:]], preload="libpatient.so")
