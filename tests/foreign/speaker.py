"""A worker without any code of ours: speaks the wire in one of many wrong ways. `speaker.py NAME MODE`."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from typing import Any

import zmq

NAME, MODE = sys.argv[1:]
HELLO = {"v": 1, "type": "hello", "instance": os.environ["ZONEHOOKD_INSTANCE"], "api": 1, "name": NAME, "kind": "zone"}


def main() -> None:
    dealer = zmq.Context().socket(zmq.DEALER)
    dealer.connect(os.environ["ZONEHOOKD_ENDPOINT"])

    def say(**frame: Any) -> None:
        dealer.send(json.dumps({"v": 1, **frame}).encode())

    if MODE == "unheard":
        time.sleep(600)
    wrong = {"version": {"v": 2}, "instance": {"instance": "x"}, "name": {"name": "y"}, "api": {"api": 9}}
    say(**{**HELLO, **wrong.get(MODE, {})})
    if MODE == "leaves":
        time.sleep(0.2)
        sys.exit(3)
    json.loads(dealer.recv())
    say(type="ready")
    if MODE == "unasked":
        say(type="result", id=1)
    if MODE == "flood":
        for _ in range(2000):
            print("x" * 2000, flush=True)
    while True:
        call = json.loads(dealer.recv())
        number = call.get("id", 0)
        plans = [{"subject": each["subject"]} for each in call.get("subjects", ())]
        if call["type"] == "stop":
            if MODE == "deaf":
                time.sleep(600)
            sys.exit(0)
        if call["type"] == "answer":
            continue
        if MODE == "garbage":
            dealer.send(b"\xff\x00 no JSON")
        elif MODE == "two-frames":
            dealer.send_multipart([b"{}", b"{}"])
        elif MODE == "unknown":
            say(type="marriage", id=number)
        elif MODE == "wrong-id":
            say(type="result", id=number + 7)
        elif MODE == "others":
            say(type="result", id=number, plans=[{"subject": "zone:nobody"}])
        elif MODE == "big":
            dealer.send(b" " * (6 << 20))
        elif MODE == "large":
            dealer.send(b" " * (20 << 20))
        elif MODE == "asks":
            for one in range(3000):
                say(type="ask", id=number, ask=one, question={"what": "record", "kind": "a", "name": "b"})
        elif MODE == "asks-late":
            say(type="ask", id=number - 1, ask=1, question={"what": "record", "kind": "a", "name": "b"})
        elif MODE == "many-steps":
            step = {"do": "forget", "kind": "a", "name": "b", "why": "c"}
            say(type="result", id=number, plans=[{"subject": "zone:web1", "steps": [step] * 50_000}])
        elif MODE == "bad-step":
            say(type="result", id=number, plans=[{"subject": "zone:web1", "steps": [{"do": "explode", "why": "c"}]}])
        elif MODE == "child-keeps-pipes":
            subprocess.Popen(["/bin/sleep", "5"], start_new_session=True)
            os.abort()
        else:
            say(type="result", id=number, plans=plans)
            if MODE == "twice":
                say(type="result", id=number, plans=plans)


if __name__ == "__main__":
    main()
