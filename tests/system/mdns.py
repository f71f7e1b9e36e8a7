"""Multicast DNS by hand: what an honest avahi never sends. Runs inside a host's namespace.

usage: mdns.py INTERFACE-ADDRESS announce NAME PEERID ADDRESS PORT [TARGET-SUFFIX]
                                 goodbye NAME
                                 flood RATE
                                 malformed COUNT
                                 aliases

announce says it again four times a second, flood sends RATE made-up services a second: both until they
are ended. Each prints a line once the first packets are out.
"""

import os
import random
import socket
import struct
import sys
import threading
import time

GROUP, PORT = "224.0.0.251", 5353
SERVICE = "_lanspread._udp.local"
A, PTR, CNAME, TXT, SRV = 1, 12, 5, 16, 33
FLUSH, INTERNET = 0x8001, 1


def labels(*parts):
    return b"".join(bytes([len(part)]) + part for part in (str(part).encode() for part in parts)) + b"\0"


def domain(text):
    return labels(*text.split("."))


def instance(name):
    """A service instance; the name itself may hold dots."""
    return labels(name, *SERVICE.split("."))


def record(name, kind, data, ttl=120, rrclass=INTERNET):
    return name + struct.pack("!HHIH", kind, rrclass, ttl, len(data)) + data


def response(*records):
    return struct.pack("!HHHHHH", 0, 0x8400, 0, len(records), 0, 0) + b"".join(records)


def text(*pairs):
    return b"".join(bytes([len(pair)]) + pair for pair in (pair.encode() for pair in pairs))


def service(name, peer_id, address, port, target=None, ttl=120):
    """All records of one announced peer."""
    host = target or f"lanspread-{peer_id[:12]}.local"
    return [
        record(domain(SERVICE), PTR, instance(name), ttl),
        record(instance(name), SRV, struct.pack("!HHH", 0, 0, int(port)) + domain(host), ttl, FLUSH),
        record(instance(name), TXT, text("v=1", f"id={peer_id}", f"name={name.split()[0]}"), ttl, FLUSH),
        record(domain(host), A, socket.inet_aton(address), ttl, FLUSH),
    ]


def aliases(sock):
    """A service whose host is a diamond of aliases that expire while it is being resolved: without a TXT
    record that goes on for seconds. libavahi-core 0.8 fails an assertion of its own then (avahi #683)."""
    made = [record(domain(SERVICE), PTR, instance("Trap"), 10),
            record(instance("Trap"), SRV, struct.pack("!HHH", 0, 0, 9) + domain("i.local"), 10, FLUSH),
            record(domain("i.local"), CNAME, domain("i2.local"), 1),
            record(domain("i.local"), CNAME, domain("i1.local"), 1),
            record(domain("i1.local"), CNAME, domain("i3.local"), 1),
            record(domain("i2.local"), CNAME, domain("i3.local"), 1),
            record(domain("i3.local"), A, socket.inet_aton("10.77.0.250"), 1)]
    sock(response(*made))


def malformed(sock, count):
    source = random.Random(5)
    good = response(*service("Broken 000000000000", "cd" * 32, "10.77.0.250", 4))
    for i in range(count):
        packet = bytearray(good)
        how = i % 6
        if how == 0:
            packet = packet[:source.randrange(len(packet))]
        elif how == 1:
            for _ in range(source.randrange(1, 40)):
                packet[source.randrange(len(packet))] = source.randrange(256)
        elif how == 2:  # a name that points at itself
            packet = bytearray(struct.pack("!HHHHHH", 0, 0x8400, 0, 1, 0, 0) + b"\xc0\x0c" + struct.pack("!HHIH", PTR, 1, 9, 2) +
                               b"\xc0\x0c")
        elif how == 3:  # more records promised than there are
            packet[6:8] = b"\xff\xff"
        elif how == 4:
            packet = bytearray(source.randbytes(source.randrange(1, 1400)))
        else:  # an id of TXT that is none, a port 0, a name with control characters
            packet = bytearray(response(*service("\x1b[2J\r\n 0", "zz" * 32, "10.77.0.250", 0)))
        sock(bytes(packet))


def flood(sock, rate):
    source, burst, sent = random.Random(9), 20, 0
    begun = time.monotonic()
    tick = threading.Event()
    while True:
        for _ in range(burst):
            peer = source.randbytes(32).hex()
            sock(response(*service(f"Fake {peer[:12]}", peer, f"10.77.0.{source.randrange(100, 250)}",
                                   source.randrange(1024, 65535), f"h{peer[:10]}.local", ttl=10)))
        if not sent:
            print("flooding", flush=True)
        sent += burst
        ahead = begun + sent / rate - time.monotonic()
        if ahead > 0:
            tick.wait(ahead)


def open_socket(address):
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    sock.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton(address))
    sock.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_TTL, 255)
    sock.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_LOOP, 1)
    sock.bind((address, PORT))

    def send(packet):
        try:
            sock.sendto(packet, (GROUP, PORT))
        except OSError:
            pass  # a full queue: the flood is what the link takes

    return send


def main():
    address, mode, *rest = sys.argv[1:]
    send = open_socket(address)
    if mode == "announce":
        packet = response(*service(rest[0], *rest[1:]))
        while True:
            send(packet)
            print("announced", flush=True)
            threading.Event().wait(0.25)
    elif mode == "goodbye":
        for _ in range(3):
            send(response(record(domain(SERVICE), PTR, instance(rest[0]), 0)))
    elif mode == "flood":
        flood(send, int(rest[0]))
    elif mode == "malformed":
        malformed(send, int(rest[0]))
    elif mode == "aliases":
        aliases(send)
    print("sent", flush=True)


if __name__ == "__main__":
    os.nice(0)
    main()
