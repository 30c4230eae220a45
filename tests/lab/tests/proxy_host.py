"""A gateway zone with a reverse proxy in it, a zone behind it that says its name, and clients outside.

outside 192.0.2.1  --  net0  --  gwout0 192.0.2.5 [gw] 10.99.0.1 gwin0  --  inside0  --  box0 10.99.0.5 [box]
"""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from lab.tests.bench import Machine
from lab.tests.gateway_host import GATEWAY

LOAD = """
import http.client, os, sys
done = 0
wrong = set()
while not os.path.exists("/tmp/enough") or (done <= 20 and not wrong):
    try:
        connection = http.client.HTTPConnection(sys.argv[1], int(sys.argv[2]), timeout=30)
        connection.request("GET", "/")
        answer = connection.getresponse()
        text = (answer.status, answer.read().decode().strip())
        connection.close()
    except OSError as problem:
        text = (0, str(problem))
    done += text == (200, "box")
    wrong |= {text} - {(200, "box")}
    open("/tmp/underway", "w").close()
print("all" if done > 20 and not wrong else (done, wrong))
"""
# The whole answer, or what kept it away. (Not nc: nginx lets go of a client that closes its half.)
FETCH = """
import http.client, sys
connection = http.client.HTTPConnection(sys.argv[1], int(sys.argv[2]), timeout=30)
try:
    connection.request("GET", sys.argv[3], headers={"Host": "box.test"})
    print(connection.getresponse().read().decode().rstrip())
except OSError as problem:
    print(problem.strerror)
"""
UPGRADED = """
import socket, sys, time
peer = socket.create_connection((sys.argv[1], int(sys.argv[2])), timeout=60)
lines = ["GET /talk HTTP/1.1", "Host: box.test", "Connection: Upgrade", "Upgrade: websocket",
         "Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="]
peer.sendall("\\r\\n".join([*lines, "", ""]).encode())
text = b""
while not text.endswith(b"\\r\\n\\r\\nbox\\n"):
    text += peer.recv(1000)
assert b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" in text
print(text.split()[1].decode(), flush=True)
for line in sys.stdin:
    peer.sendall(line.encode())
    print(peer.recv(100).decode().strip() or "cut", flush=True)
"""
WORDS = f"""
cat > /tmp/load.py <<'END'
{LOAD}
END
cat > /tmp/fetch.py <<'END'
{FETCH}
END
cat > /tmp/upgraded.py <<'END'
{UPGRADED}
END
zonelab answer box --http 8080 --tcp 7000
settled() {{ # FMRI WORD: in gw
    for try in $(seq 500); do
        now=$(svcs -z gw -H -o state,nstate $1 2>/dev/null | tr -s ' ')
        [ "$now" = "$2 -" ] && return
        sleep 0.02
    done
    echo "$1 is not $2 but $now"
}}
contract() {{ svcs -z gw -Ho ctid $1; }}
gone() {{ # FMRI CONTRACT
    for try in $(seq 500); do [ "$(contract $1)" = $2 ] || return 0; sleep 0.02; done
    echo "still $2"
}}
fetch() {{ zonelab outside run -- /usr/bin/python3 /tmp/fetch.py 192.0.2.5 $1 ${{2:-/}}; }} # PORT [PATH]
until_fetched() {{ # PORT TEXT [PATH]; after a reload a worker of before may still answer once
    for try in $(seq 500); do [ "$(fetch $1 $3)" = "$2" ] && return; sleep 0.02; done
    echo "not $2 but $(fetch $1 $3)"
}}
open_upgraded() {{ # PORT: a long connection from outside; `tell WORD` prints the answer
    mkfifo /tmp/to
    : > /tmp/from
    zonelab outside run -- /usr/bin/python3 /tmp/upgraded.py 192.0.2.5 $1 < /tmp/to > /tmp/from 2>&1 &
    exec 3> /tmp/to
    for try in $(seq 1000); do [ -s /tmp/from ] && break; sleep 0.01; done
}}
tell() {{
    lines=$(wc -l < /tmp/from)
    echo $1 >&3
    for try in $(seq 1000); do [ $(wc -l < /tmp/from) -gt $lines ] && break; sleep 0.01; done
    tail -n 1 /tmp/from
}}
load() {{ # PORT: one request after the other, from its return until `loaded`
    rm -f /tmp/enough /tmp/underway
    zonelab outside run -- /usr/bin/python3 /tmp/load.py 192.0.2.5 $1 > /tmp/loaded 2>&1 &
    loading=$!
    for try in $(seq 1000); do [ -e /tmp/underway ] && break; sleep 0.01; done
}}
loaded() {{ touch /tmp/enough; wait $loading; cat /tmp/loaded; }}
root=/zones/gw/root
"""


@dataclass(frozen=True)
class Place:
    """Where a dialect has the two, as words for a script."""

    option: str
    nginx: str
    haproxy: str

    def script(self, machine: Machine, text: str) -> list[str]:
        """Lines of output of `text` on a host where the gateway and the box run."""
        options = [self.option] if self.option else []
        return machine.script(f"{GATEWAY}{WORDS}{self.nginx}{self.haproxy}{text}", *options).splitlines()


TRIBBLIX = Place(
    "",
    """
it=svc:/network/nginx:default nginx=/opt/tribblix/nginx/sbin/nginx main=/opt/tribblix/nginx/conf/nginx.conf
site() { cat > $root/opt/tribblix/nginx/conf.d/site.conf; rm -f $root/opt/tribblix/nginx/sites-enabled/*; }
""",
    """
ha=svc:/network/haproxy2:default haproxy=/opt/tribblix/haproxy/sbin/haproxy cfg=/etc/haproxy/haproxy.cfg
sock=/var/run/haproxy.sock pidfile=/var/run/haproxy.pid
""",
)
OMNIOS = Place(
    "--omnios",
    """
it=svc:/network/http:nginx nginx=/opt/ooce/sbin/nginx main=/etc/opt/ooce/nginx/nginx.conf
site() { { echo 'events {} http {'; cat; echo '}'; } > $root$main; }
""",
    """
ha=svc:/ooce/network/haproxy:default haproxy=/opt/ooce/sbin/haproxy cfg=/etc/opt/ooce/haproxy/haproxy.cfg
sock=/var/opt/ooce/haproxy/run/sock pidfile=/var/opt/ooce/haproxy/run/haproxy.pid
""",
)
PLACES = pytest.mark.parametrize("place", [TRIBBLIX, OMNIOS], ids=["tribblix", "omnios"])
EVERYWHERE = pytest.mark.parametrize("machine", ["ours", "ordinary"], indirect=True)
