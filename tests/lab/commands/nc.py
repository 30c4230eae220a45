"""nc(1): the machine's OpenBSD netcat, made to behave as illumos' older one.

After the end of its input it closes that half of the connection and goes on reading until the peer closes. `-w` bounds
the waiting for data and not a connect. Why it could not connect it says with `-v` only.
"""

from __future__ import annotations

from lab import door, real_programs
from lab.call import Become, Call
from lab.getopt import UNKNOWN, getopt
from lab.world import NotEmulated

_OPTIONS = "46DdhiklnPprsTtUuvwXxz"
_WITH_VALUE = "iPpsTwXx"
_ELSEWHERE = set("DPTtXx")  # they mean other things to the machine's
# illumos' says on its standard output that a port is open, the machine's on its standard error, if at all.
_SCAN = ["/bin/sh", "-c", 'said=$("$@" 2>&1); status=$?; echo "$said" | grep succeeded; exit $status', "sh"]
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
    needed = 1 if letters & {"l", "U"} else 2
    if "h" in letters or UNKNOWN in letters or (len(operands) < needed and not {"l", "p"} <= letters):
        call.err(USAGE)
        return 1
    for letter in sorted(letters & _ELSEWHERE):
        raise NotEmulated(f"nc -{letter}")
    program = real_programs.become(call, ["-N", *(["-v"] if "z" in letters else []), *call.argv[1:]])
    environ = {**call.environ, "LD_PRELOAD": f"{door.STATE}/libpatient.so"}
    if "v" not in letters:
        environ["ZONELAB_QUIET"] = "1"
    raise Become([*_SCAN, *program.argv] if "z" in letters else program.argv, environ=environ)
