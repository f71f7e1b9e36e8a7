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
            [PROGRAM, kind, *self.options(game, name or kind, folder), *(daemon.address for daemon in daemons)],
            host.namespace, stdout=subprocess.PIPE, text=True)
        threading.Thread(target=self._collect, daemon=True).start()

    def options(self, game, name, folder):
        return ["--game", game, "--name", name, *(["--folder", folder] if folder else [])]

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


class Crowd(Hostile):
    """Connections from a host that do nothing: "half", "mute" or "idle"."""

    def __init__(self, host, kind, count, daemon):
        self.counted = count
        super().__init__(host, kind, None, [daemon])

    def options(self, game, name, folder):
        return ["--count", self.counted]

    def wait_for(self, condition, timeout=PATIENCE):
        """Until one of its counts satisfies it."""
        deadline, seen = time.monotonic() + timeout, 0
        with self.changed:
            while not any(condition(event) for event in self.events[seen:] if event["event"] == "crowd"):
                seen = len(self.events)
                if not self.changed.wait(max(0, deadline - time.monotonic())) and time.monotonic() >= deadline:
                    raise LabError(f"{self.kind}: waited {timeout} s in vain; it said {self.events[-3:]}")

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait()


def break_rule(host, rule, daemon, *options, timeout=60):
    """One broken rule of the wire towards a daemon: what came of it."""
    process = host.lab.start([PROGRAM, "wire", rule, *options, daemon.address], host.namespace,
                             stdout=subprocess.PIPE, text=True)
    output, _ = process.communicate(timeout=timeout)
    return json.loads(output.strip().splitlines()[-1])
