"""A game's packets in a lab: 100 bytes, 64 times a second, and how long each took.

    flow = GameFlow(gamer, server)      # from gamer to server
    delays = flow.run(10)               # seconds → milliseconds, sorted; lost ones are infinite

The receiver's kernel notes when a packet came in (SO_TIMESTAMPNS), the sender when it went, both by the
machine's one clock, so that a busy processor hardly counts. Both run at real-time priority.
"""

import json
import os
import socket
import struct
import subprocess
import sys
import threading
import time

HZ, SIZE, PORT = 64, 100, 27960
SO_TIMESTAMPNS = 35


class GameFlow:
    def __init__(self, source, target, port=PORT):
        self.source, self.target, self.port = source, target, port

    def start(self, seconds):
        """Packets for so many seconds from now on, measured; returns what gives, when they have come, their times of
        sending (ns, of the machine's clock) and delays (ms), in the order of sending."""
        lab = self.source.lab
        receiver = lab.start([sys.executable, __file__, "receive", self.port, seconds], self.target.namespace,
                             stdout=subprocess.PIPE, text=True)
        receiver.stdout.readline()
        sender = lab.start([sys.executable, __file__, "send", self.target.address, self.port, seconds],
                           self.source.namespace)

        def come():
            output, _ = receiver.communicate(timeout=seconds + 60)
            sender.wait()
            return [(sent, delay if delay is not None else float("inf")) for sent, delay in json.loads(output)]
        return come

    def run(self, seconds):
        """Delays in milliseconds, sorted, of so many seconds."""
        return sorted(delay for _, delay in self.start(seconds)())


def percentile(delays, share):
    return delays[min(len(delays) - 1, int(len(delays) * share))]


def let_pass(seconds):
    """Time itself: what is measured is how much moves in it. Nothing is waited for."""
    threading.Event().wait(seconds)


def hurry():
    try:
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(10))
    except (OSError, AttributeError):
        pass


def send(address, port, seconds):
    hurry()
    out = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    begun = time.monotonic()
    for number in range(int(float(seconds) * HZ)):
        let_pass(max(0, begun + number / HZ - time.monotonic()))
        out.sendto(struct.pack("=Iq", number, time.time_ns()).ljust(SIZE, b"\0"), (address, int(port)))


def receive(port, seconds):
    hurry()
    inlet = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    inlet.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
    inlet.bind(("", int(port)))
    inlet.settimeout(float(seconds) + 10)
    print("ready", flush=True)
    count, delays = int(float(seconds) * HZ), {}
    while len(delays) < count:
        try:
            data, notes, _, _ = inlet.recvmsg(SIZE, 64)
        except TimeoutError:
            break
        number, sent = struct.unpack_from("=Iq", data)
        came = next(struct.unpack("qq", value) for _, kind, value in notes if kind == SO_TIMESTAMPNS)
        delays[number] = sent, (came[0] * 10**9 + came[1] - sent) / 1e6
        inlet.settimeout(1)
    lost = None
    for number in reversed(range(count)):
        lost = delays[number][0] if number in delays else lost
        delays.setdefault(number, (lost, None))
    print(json.dumps([delays[number] for number in range(count)]))


if __name__ == "__main__":
    {"send": send, "receive": receive}[sys.argv[1]](*sys.argv[2:])
