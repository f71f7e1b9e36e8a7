"""Peers that lie, in a lab: `hostile-peer` (tests/system/hostile) as a process with its lines.

    evil = Hostile(lab.host("eve"), "poison", "quake", [ann, ben])
    evil.wait("asked")
    answer = break_rule(lab.host("eve"), "frame-huge", ann)
"""

import json
import signal
import subprocess
import threading
import time

from lanlab import BUILD, PATIENCE, LabError

PROGRAM = BUILD / "tests/system/hostile-peer"


class Hostile:
    """Company of one kind on a host, towards these daemons, for one game."""

    def __init__(self, host, kind, game, daemons, name=None, folder=None):
        self.kind, self.events, self.changed = kind, [], threading.Condition()
        self.process = host.lab.start(
            [PROGRAM, kind, "--game", game, "--name", name or kind,
             *(["--folder", folder] if folder else []), *(daemon.address for daemon in daemons)],
            host.namespace, stdout=subprocess.PIPE, text=True)
        threading.Thread(target=self._collect, daemon=True).start()

    def _collect(self):
        for line in self.process.stdout:
            with self.changed:
                self.events.append(json.loads(line))
                self.changed.notify_all()

    def count(self, name):
        with self.changed:
            return sum(event["event"] == name for event in self.events)

    def wait(self, name, count=1, timeout=PATIENCE):
        """Until it has said so `count` times."""
        deadline = time.monotonic() + timeout
        with self.changed:
            while sum(event["event"] == name for event in self.events) < count:
                if not self.changed.wait(max(0, deadline - time.monotonic())) and time.monotonic() >= deadline:
                    raise LabError(f"{self.kind}: no {name} within {timeout} s; it said {self.events[-5:]}")

    def stop(self):
        """Ends it; its totals."""
        self.process.send_signal(signal.SIGTERM)
        self.wait("done")
        self.process.wait()
        return self.events[-1] if self.events[-1]["event"] == "done" else \
            next(event for event in self.events if event["event"] == "done")


def break_rule(host, rule, daemon, *options, timeout=60):
    """One broken rule of the wire towards a daemon: what came of it."""
    process = host.lab.start([PROGRAM, "wire", rule, *options, daemon.address], host.namespace,
                             stdout=subprocess.PIPE, text=True)
    output, _ = process.communicate(timeout=timeout)
    return json.loads(output.strip().splitlines()[-1])
