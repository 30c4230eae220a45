"""A shell script that builds a gateway zone between an etherstub and the world outside, and programs that talk.

box 10.99.0.5  --  inside0  --  gwin0 10.99.0.1 [gw] gwout0 192.0.2.5  --  net0  --  192.0.2.1
                                                               farther out behind it: 198.51.100.1
"""

from __future__ import annotations

SERVE = """
import os, socket, sys, threading
def answer(send, address, port, data):
    send(f"{address[0]} {port} {data.decode()}".encode())
def talk(peer, address, port):
    while data := peer.recv(100):
        answer(peer.sendall, address, port, data)
def tcp(port, family):
    listener = socket.create_server(("", port), family=family)
    os.write(1, b"ready\\n")
    while True:
        threading.Thread(target=talk, args=(*listener.accept(), port), daemon=True).start()
def udp(port, family):
    server = socket.socket(family, socket.SOCK_DGRAM)
    if family == socket.AF_INET6:
        server.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    server.bind(("", port))
    os.write(1, b"ready\\n")
    while True:
        data, address = server.recvfrom(100)
        answer(lambda text: server.sendto(text, address), address, port, data)
for port in map(int, sys.argv[1:]):
    for family in (socket.AF_INET, socket.AF_INET6):
        for way in (tcp, udp):
            threading.Thread(target=way, args=(port, family)).start()
"""
# The word of a client: who it is to the server, and at which port it has arrived there. Of each line of its input it
# says the first word, and waits for the answer as many seconds as the second; it connects when it has the first line.
ASK = """
import socket, sys
kind, host, port = sys.argv[1:4]
family = socket.AF_INET6 if ":" in host else socket.AF_INET
client = socket.socket(family, socket.SOCK_STREAM if kind == "tcp" else socket.SOCK_DGRAM)
try:
    for number, line in enumerate(sys.stdin):
        word, seconds = line.split()
        client.settimeout(int(seconds))
        if number == 0:
            client.connect((host, int(port)))
        client.send(word.encode())
        print(client.recv(100).decode(), flush=True)
except TimeoutError:
    print("silence", flush=True)
except OSError as problem:
    print(problem.strerror, flush=True)
"""

WORDS = f"""
mkdir /var/talk
cat > /var/talk/serve.py <<'END'
{SERVE}
END
cat > /var/talk/ask.py <<'END'
{ASK}
END
zone() {{  # NAME LINK...: a running exclusive zone
    name=$1; shift; nets=
    for link in $*; do nets="$nets add net; set physical=$link; end;"; done
    zonecfg -z $name "create; set zonepath=/zones/$name; set ip-type=exclusive; $nets commit"
    zoneadm -z $name install >/dev/null
    zoneadm -z $name boot
    cp /var/talk/*.py /zones/$name/root/var
}}
at() {{  # PLACE COMMAND...: a zone, or outside
    place=$1; shift
    if [ $place = outside ]; then zonelab outside run -- "$@"; else zlogin $place "$@"; fi
}}
programs() {{ if [ $1 = outside -o $1 = global ]; then echo /var/talk; else echo /var; fi; }}
serve() {{  # PLACE PORT...: TCP and UDP servers, both families
    : > /var/talk/$1.ready
    at $1 /usr/bin/python3 $(programs $1)/serve.py $(shift; echo $*) > /var/talk/$1.ready 2>&1 &
    until [ $(grep -c ready /var/talk/$1.ready) = $((4 * ($# - 1))) ]; do sleep 0.01; done
}}
seconds=20  # an answer that is expected comes, however slow the machine
in_vain() {{ seconds=1; "$@"; seconds=20; }}  # ask ... | say WORD, where silence is expected: a second of it will do
ask() {{ place=$1; shift; echo hi $seconds | at $place /usr/bin/python3 $(programs $place)/ask.py "$@"; }}
converse() {{  # PLACE KIND HOST PORT: a connection that lasts; `say WORD` prints the answer
    mkfifo /var/talk/to
    : > /var/talk/from
    at $1 /usr/bin/python3 $(programs $1)/ask.py $2 $3 $4 < /var/talk/to > /var/talk/from 2>&1 &
    exec 3> /var/talk/to
}}
say() {{
    lines=$(wc -l < /var/talk/from)
    echo $1 $seconds >&3
    until [ $(wc -l < /var/talk/from) -gt $lines ]; do sleep 0.01; done
    tail -n 1 /var/talk/from
}}
"""
GATEWAY = (
    WORDS
    + """
dladm create-etherstub inside0
for link in box0 gwin0; do dladm create-vnic -l inside0 $link; done
dladm create-vnic -l net0 gwout0
zone gw gwin0 gwout0
zone box box0
zlogin gw ipadm create-addr -T static -a 10.99.0.1/24 gwin0/v4
zlogin gw ipadm create-addr -T static -a 192.0.2.5/24 gwout0/v4
zlogin gw route add default 192.0.2.1 >/dev/null
zlogin gw ipadm set-prop -p forwarding=on ipv4
zlogin box ipadm create-addr -T static -a 10.99.0.5/24 box0/v4
zlogin box route add default 10.99.0.1 >/dev/null
ipf -E gw
"""
)
MAP = """
cat > /var/talk/nat <<'END'
map gwout0 10.99.0.0/24 -> 0/32 portmap tcp/udp 10000:60000;
map gwout0 10.99.0.0/24 -> 0/32;
END
ipnat -z gw -f /var/talk/nat
"""
