"""Between SMF and the daemon: `start` returns when it is ready, a daemon that hangs is killed, `stop` is gentle.

SMF takes a service's word for it: a start method that exits 0 *is* the service being online, and only the last process
of the contract to end makes SMF restart it (services sheet 3.7). So the start method forks a warden and waits for its
word; the warden starts the daemon, hears what it says through NOTIFY_SOCKET (supervisor.py), and stays its parent:

- READY=1: the start method exits 0. The daemon ended before that: 96 if its configuration is wrong, else 1, and SMF
  tries again; also when it is not ready in time.
- No WATCHDOG=1 for too long: SIGABRT (the daemon writes where it hangs), SIGKILL, and the contract is empty.
- `stop` is a word on the socket, never a signal to the contract: a dladm killed half-way leaves damage behind (see
  host/process.py), so the daemon alone is told, and finishes what runs.
- The daemon died: commands that it had started may still run, and each of them keeps the contract from being empty,
  and SMF from restarting us. They get the time that the daemon would have given them, and are killed then.
- The warden died: the daemon holds the other end of a pipe, sees it close, and stops.

Nobody is found by a number in a file: who holds the lock is the warden, and the socket is the way to it. Both lie in
the run folder, which is root's alone; there is no portable way to ask a datagram who sent it. The standard library
only, so that it starts at once and hardly anything can break it.
"""
