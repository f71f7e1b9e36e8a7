"""Peers that lie, in a lab: `hostile-peer` (tests/system/hostile) as a process with its lines.

    evil = Hostile(lab.host("eve"), "poison", "quake", [ann, ben])
    evil.wait("asked")
    answer = break_rule(lab.host("eve"), "frame-huge", ann)
"""

import json
import signal
import socket
import subprocess
import sys
import threading
import time
import types

from lanlab import BUILD, PATIENCE, LabError

PROGRAM = BUILD / "tests/system/hostile-peer"


class Hostile:
    """Company of one kind on a host, towards these daemons, for one game."""

    def __init__(self, host, kind, game, daemons, name=None, folder=None):
        self.kind, self.events, self.changed = kind, [], threading.Condition()
        self.process = host.lab.start(self.command(game, name or kind, folder, daemons), host.namespace,
                                      stdout=subprocess.PIPE, text=True)
        threading.Thread(target=self._collect, daemon=True).start()

    def command(self, game, name, folder, daemons):
        return [PROGRAM, self.kind, *self.options(game, name, folder), *(daemon.address for daemon in daemons)]

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


# ---- Initials from addresses that nobody has ----------------------------------------------------------

class Spoofer(Hostile):
    """First packets of true handshakes, each from an address of its own that never answers: the first ones once,
    so that they are told all that one packet earns, the others over and over."""

    NETWORK = "10.77.1"  # of the LAN's default subnet's neighbour: Ann's default route leads there

    def __init__(self, host, daemon, rate):
        host.run("ip", "route", "add", "local", f"{self.NETWORK}.0/24", "dev", "lo")
        self.rate = rate
        super().__init__(host, "spoof", None, [daemon])
        self.wait("listens")
        sink = types.SimpleNamespace(address=f"127.0.0.1:{self.events[0]['port']}")
        crowd = Crowd(host, "half", SPOOFED, sink)
        self.wait("floods", timeout=90)
        crowd.stop()

    def command(self, game, name, folder, daemons):
        return [sys.executable, __file__, *daemons[0].address.rsplit(":", 1), self.NETWORK, self.rate]

    def totals(self):
        """{"sent", "received": bytes, "worst": of one address at one time, received / sent,
        "handshakes", "retries": addresses that were answered so}"""
        with self.changed:
            return next((event for event in reversed(self.events) if event["event"] == "totals"), None)


SPOOFED, ONCE = 200, 32  # addresses; those that send once
LONG, INITIAL, RETRY = 0x80, 0x0, 0x3  # RFC 9000, 17.2


def long_type(data):
    """The type of a packet with a long header; None: it has a short one, or is none."""
    return data[0] >> 4 & 3 if data and data[0] & LONG else None


class Spoofed:
    """An address that nobody has, with the Initial that it sends."""

    def __init__(self, address, target, initial):
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.setblocking(False)
        self.socket.bind((address, 0))
        self.socket.connect(target)
        self.initial, self.sent, self.received, self.worst, self.types = initial, 0, 0, 0, set()

    def send(self):
        try:
            self.sent += self.socket.send(self.initial)
        except OSError:
            pass  # a full buffer

    def listen(self):
        try:
            while data := self.socket.recv(65536):
                self.received += len(data)
                self.worst = max(self.worst, self.received / self.sent)
                self.types.add(long_type(data))
        except OSError:
            pass


def collect_initials(count):
    """The first packets of so many connections that are dialled at a port of loopback, which it tells."""
    sink, found = socket.socket(socket.AF_INET, socket.SOCK_DGRAM), {}
    sink.bind(("127.0.0.1", 0))
    print(json.dumps({"event": "listens", "port": sink.getsockname()[1]}), flush=True)
    while len(found) < count:
        data = sink.recv(65536)
        if long_type(data) == INITIAL:
            found.setdefault(data[6:6 + data[5]], data)  # by the connection's id
    return found.values()


def spoof(host, port, network, rate):
    """Sends Initials from addresses of that network, so many a second."""
    spoofed = [Spoofed(f"{network}.{number}", (host, int(port)), initial)
               for number, initial in enumerate(collect_initials(SPOOFED), 1)]
    for one in spoofed[:ONCE]:
        one.send()
    again = spoofed[ONCE:]
    over, pause, sent, begun, told = threading.Event(), threading.Event(), 0, time.monotonic(), 0.0
    signal.signal(signal.SIGTERM, lambda *_: over.set())
    print(json.dumps({"event": "floods"}), flush=True)
    while True:
        now, last = time.monotonic(), over.is_set()
        while sent < (now - begun) * float(rate):
            again[sent % len(again)].send()
            sent += 1
        for one in spoofed:
            one.listen()
        if last or now - told > 0.5:
            told = now
            print(json.dumps({
                "event": "done" if last else "totals", "sent": sum(one.sent for one in spoofed),
                "received": sum(one.received for one in spoofed),
                "worst": max(one.worst for one in spoofed),
                "handshakes": sum(INITIAL in one.types for one in spoofed),
                "retries": sum(RETRY in one.types for one in spoofed)}), flush=True)
        if last:
            return
        pause.wait(0.005)


if __name__ == "__main__":
    spoof(*sys.argv[1:])
