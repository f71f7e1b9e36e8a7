"""What is outside of a party, as small programs that run on a host of the lab: a tracker, a web server, a proxy, and
an ear at a network card. Each tells in JSON lines what it sees.

    tracker = Outside(host, "tracker", 6969)
    tracker.wait(lambda seen: seen.get("event") == "completed")
    tracker.tell("fail")                      # from now on it answers "closed today"; "serve" ends that

    web    PORT FOLDER                        {"path", "range"} of each request
    socks  PORT [USER PASSWORD]               {"connect": "ADDR:PORT"}, {"refused": …}
    http   PORT [USER PASSWORD]               the same, of a proxy that speaks HTTP
    ear                                       {"udp": "ADDR:PORT", "from": PORT, "data": hex} of each packet that leaves
"""

import base64
import http.server
import json
import os
import pathlib
import socket
import socketserver
import struct
import subprocess
import sys
import threading
import urllib.parse

from lanlab import PATIENCE, LabError, die_with_parent


class Outside:
    """One of them, running."""

    def __init__(self, host, kind, *arguments):
        inside = ["nsenter", f"--net=/run/netns/{host.namespace}"] if host.namespace else []
        self.process = subprocess.Popen(
            inside + [sys.executable, __file__, kind, *map(str, arguments)], stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, text=True, preexec_fn=die_with_parent)
        host.lab.processes.append(self.process)
        self.kind, self.seen, self.changed = kind, [], threading.Condition()
        if json.loads(self.process.stdout.readline()) != {"ready": True}:
            raise LabError(f"the {kind} did not start")
        threading.Thread(target=self._collect, daemon=True).start()

    def _collect(self):
        for line in self.process.stdout:
            with self.changed:
                self.seen.append(json.loads(line))
                self.changed.notify_all()

    def all(self, where=lambda one: True, since=0):
        with self.changed:
            return [one for one in self.seen[since:] if where(one)]

    def mark(self):
        with self.changed:
            return len(self.seen)

    def wait(self, where, since=0, timeout=PATIENCE):
        """The first that satisfies it, at or after `since`."""
        with self.changed:
            found = lambda: next((one for one in self.seen[since:] if where(one)), None)  # noqa: E731
            if not self.changed.wait_for(found, timeout):
                raise LabError(f"the {self.kind} waited {timeout} s in vain; it saw {str(self.seen[since:])[-1500:]}")
            return found()

    def tell(self, word):
        """Once it has understood."""
        mark = self.mark()
        self.process.stdin.write(word + "\n")
        self.process.stdin.flush()
        self.wait(lambda one: one.get("told") == word, since=mark)


# ---- Their side ---------------------------------------------------------------------------------------

LOCK = threading.Lock()


def say(**seen):
    with LOCK:
        print(json.dumps(seen), flush=True)


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = allow_reuse_address = True


def bencode(value):
    if isinstance(value, int):
        return b"i%de" % value
    if isinstance(value, bytes):
        return b"%d:%s" % (len(value), value)
    if isinstance(value, str):
        return bencode(value.encode())
    if isinstance(value, list):
        return b"l" + b"".join(map(bencode, value)) + b"e"
    return b"d" + b"".join(bencode(key) + bencode(value[key]) for key in sorted(value)) + b"e"


def tracker(port):
    """BEP 3 and 23, for as many torrents as come."""
    swarms, failing = {}, threading.Event()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            url = urllib.parse.urlsplit(self.path)
            query = dict(urllib.parse.parse_qsl(url.query, encoding="latin-1", keep_blank_values=True))
            event, address = query.get("event", ""), self.client_address[0]
            swarm = swarms.setdefault(query.get("info_hash"), {})
            if failing.is_set():
                answer = {"failure reason": "closed today"}
            else:
                if event == "stopped":
                    swarm.pop((address, query["port"]), None)
                else:
                    swarm[address, query["port"]] = query.get("left") == "0"
                peers = b"".join(socket.inet_aton(ip) + struct.pack("!H", int(port)) for ip, port in swarm
                                 if ip != address)
                answer = {"interval": 1800, "complete": sum(swarm.values()), "peers": peers,
                          "incomplete": len(swarm) - sum(swarm.values())}
            body = bencode(answer)
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)
            say(address=address, port=int(query.get("port", 0)), left=int(query.get("left", -1)), event=event,
                agent=self.headers.get("User-Agent", ""), info_hash=query.get("info_hash", "").encode("latin-1").hex(),
                refused=failing.is_set())

        def log_message(self, *_):
            pass

    server = Server(("0.0.0.0", int(port)), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    say(ready=True)
    for line in sys.stdin:
        (failing.set if line.strip() == "fail" else failing.clear)()
        say(told=line.strip())


def web(port, folder):
    """Files by ranges, as BEP 19 wants them."""
    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self):
            path = urllib.parse.unquote(urllib.parse.urlsplit(self.path).path).lstrip("/")
            file, span = pathlib.Path(folder) / path, self.headers.get("Range", "")
            say(path=path, range=span)
            if ".." in path or not file.is_file():
                self.send_error(404)
                return
            data = file.read_bytes()
            first, last = 0, len(data) - 1
            if span:
                first, last = (int(word) for word in span.removeprefix("bytes=").split("-"))
            self.send_response(206 if span else 200)
            self.send_header("Content-Length", str(last - first + 1))
            self.send_header("Content-Range", f"bytes {first}-{last}/{len(data)}")
            self.end_headers()
            self.wfile.write(data[first:last + 1])

        def log_message(self, *_):
            pass

    server = Server(("0.0.0.0", int(port)), Handler)
    say(ready=True)
    server.serve_forever()


def pump(source, sink):
    try:
        while data := source.recv(65536):
            sink.sendall(data)
    except OSError:
        pass
    for end in (source, sink):
        try:
            end.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass


def join(one, other):
    """Each is sent what the other one says, until both have ended."""
    other.settimeout(None)
    threading.Thread(target=pump, args=(other, one), daemon=True).start()
    pump(one, other)


class Proxy(socketserver.ThreadingTCPServer):
    daemon_threads = allow_reuse_address = True


def http_proxy(port, user=None, password=None):
    """CONNECT, and requests for a whole URL (RFC 9110 and 9112)."""
    secret = base64.b64encode(f"{user}:{password}".encode()).decode()

    class Handler(socketserver.StreamRequestHandler):
        def handle(self):
            head = [line.decode("latin-1").rstrip() for line in iter(self.rfile.readline, b"\r\n") if line]
            method, target, _ = head[0].split()
            fields = dict(line.lower().split(": ", 1) for line in head[1:])
            if user and fields.get("proxy-authorization", "").removeprefix("basic ") != secret.lower():
                say(refused="password")
                self.request.sendall(b"HTTP/1.0 407 Proxy Authentication Required\r\n\r\n")
                return
            parts = urllib.parse.urlsplit(f"//{target}" if method == "CONNECT" else target)
            say(connect=f"{parts.hostname}:{parts.port or 80}")
            try:
                other = socket.create_connection((parts.hostname, parts.port or 80), 10)
            except OSError:
                return
            if method == "CONNECT":
                self.request.sendall(b"HTTP/1.0 200 OK\r\n\r\n")
            else:
                kept = [line for line in head[1:] if not line.lower().startswith("proxy-")]
                lines = [f"{method} {parts.path}?{parts.query} HTTP/1.0", *kept, "", ""]
                other.sendall("\r\n".join(lines).encode("latin-1"))
            join(self.request, other)

    server = Proxy(("0.0.0.0", int(port)), Handler)
    say(ready=True)
    server.serve_forever()


def socks(port, user=None, password=None):
    """RFC 1928 and 1929: CONNECT to IPv4 addresses, and names of this host alone."""
    class Handler(socketserver.BaseRequestHandler):
        def take(self, size):
            data = b""
            while len(data) < size:
                more = self.request.recv(size - len(data))
                if not more:
                    raise OSError("it went away")
                data += more
            return data

        def agree(self):
            _, count = self.take(2)
            offered = self.take(count)
            method = 2 if user else 0
            if method not in offered:
                say(refused="method")
                self.request.sendall(b"\x05\xff")
                return False
            self.request.sendall(bytes([5, method]))
            if method == 2:
                _, size = self.take(2)
                given = self.take(size).decode()
                secret = self.take(self.take(1)[0]).decode()
                fine = (given, secret) == (user, password)
                self.request.sendall(bytes([1, 0 if fine else 1]))
                if not fine:
                    say(refused="password")
                    return False
            return True

        def target(self):
            _, command, _, kind = self.take(4)
            if command != 1 or kind not in (1, 3):
                self.request.sendall(b"\x05\x07\x00\x01" + bytes(6))
                return None
            host = socket.inet_ntoa(self.take(4)) if kind == 1 else self.take(self.take(1)[0]).decode()
            return host, struct.unpack("!H", self.take(2))[0]

        def handle(self):
            try:
                target = self.target() if self.agree() else None
                if not target:
                    return
                say(connect=f"{target[0]}:{target[1]}")
                other = socket.create_connection(target, 10)
            except OSError:
                return
            self.request.sendall(b"\x05\x00\x00\x01" + bytes(6))
            join(self.request, other)

    server = Proxy(("0.0.0.0", int(port)), Handler)
    say(ready=True)
    server.serve_forever()


def ear():
    """What leaves by eth0 as UDP, over IPv4 and IPv6."""
    everything, outgoing = 3, 4
    card = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(everything))
    card.bind(("eth0", everything))
    say(ready=True)
    while True:
        packet, (_, protocol, kind, _, _) = card.recvfrom(65536)
        if kind != outgoing:
            continue
        if protocol == 0x0800 and packet[9] == socket.IPPROTO_UDP:
            at, to = (packet[0] & 15) * 4, socket.inet_ntoa(packet[16:20])
        elif protocol == 0x86DD and packet[6] == socket.IPPROTO_UDP:
            at, to = 40, socket.inet_ntop(socket.AF_INET6, packet[24:40])
        else:
            continue
        source, port = struct.unpack_from("!HH", packet, at)
        say(udp=f"{to}:{port}", port=port, source=source, data=packet[at + 8:].hex())


if __name__ == "__main__":
    sys.stdin = os.fdopen(0, "r", buffering=1)
    {"tracker": tracker, "web": web, "socks": socks, "http": http_proxy, "ear": ear}[sys.argv[1]](*sys.argv[2:])
