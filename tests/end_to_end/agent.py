"""Runs inside a lab host and does what the test outside says: one JSON request a line in, one answer a line out.

It exists so that a test may run hundreds of commands on one host without entering it anew each time.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

started: dict[int, subprocess.Popen[bytes]] = {}


def run(request: dict[str, Any]) -> dict[str, Any]:
    try:
        done = subprocess.run(
            request["argv"],
            input=request["stdin"].encode(),
            capture_output=True,
            timeout=request["timeout_s"],
            check=False,
        )
    except subprocess.TimeoutExpired:
        return {"status": None, "out": "", "err": f"timed out after {request['timeout_s']} s"}
    except FileNotFoundError as problem:
        return {"status": 127, "out": "", "err": str(problem)}
    return {
        "status": done.returncode,
        "out": done.stdout.decode(errors="replace"),
        "err": done.stderr.decode(errors="replace"),
    }


def start(request: dict[str, Any]) -> dict[str, Any]:
    with Path(request["log"]).open("ab") as log:
        process = subprocess.Popen(
            request["argv"], stdin=subprocess.DEVNULL, stdout=log, stderr=log, env={**os.environ, **request["environ"]}
        )
    started[process.pid] = process
    return {"pid": process.pid}


def send_signal(request: dict[str, Any]) -> dict[str, Any]:
    process = started[request["pid"]]
    if process.poll() is None:
        os.kill(process.pid, request["signal"])
    return {}


def wait(request: dict[str, Any]) -> dict[str, Any]:
    """`status` None: still running after `timeout_s`."""
    try:
        return {"status": started[request["pid"]].wait(request["timeout_s"])}
    except subprocess.TimeoutExpired:
        return {"status": None}


def control(request: dict[str, Any]) -> dict[str, Any]:
    """As zonehookctl asks, without a process of its own each time; `data` None: nobody answers, or it is refused."""
    sys.path[:0] = [each for each in (request["root"],) if each not in sys.path]
    from zonehookd.bus import client
    from zonehookd.errors import ZonehookError

    try:
        return {"data": client.ask(Path("/var/run/zonehookd"), request["question"], timeout_s=60.0, **request["about"])}
    except ZonehookError:
        return {"data": None}


def main() -> None:
    verbs = {"control": control, "run": run, "start": start, "signal": send_signal, "wait": wait}
    print(json.dumps({"ready": True}), flush=True)
    for line in sys.stdin:
        request = json.loads(line)
        print(json.dumps(verbs[request.pop("verb")](request)), flush=True)
    for process in started.values():
        if process.poll() is None:
            os.kill(process.pid, signal.SIGKILL)


if __name__ == "__main__":
    main()
