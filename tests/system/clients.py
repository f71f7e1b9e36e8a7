"""BitTorrent clients of Debian that are not ours, and a tracker that introduces them to each other.

    tracker = Tracker(lab.host("tom"))
    tracker.wait_seed(info_hash, "10.77.0.1")
    fetch_by_rtorrent(lab.host("eve"), torrent_file, into)

Each fetch_by_… returns once the client itself says that it has everything. Nobody but the tracker names anybody:
their DHT, LSD and peer exchange are off.
"""

import http.server
import json
import shutil
import socketserver
import subprocess
import sys
import threading
import urllib.parse

from lanlab import PATIENCE, LabError, wait_for

TRANSMISSION = shutil.which("transmission-daemon")
PATIENT = 4 * PATIENCE  # a client starts, is told of peers, fetches
PORT = 51413  # of every client, each on a host of its own


class Tracker:
    """Of BEP 3 and BEP 23 over HTTP, on a host of its own."""

    def __init__(self, host):
        self.url = f"http://{host.address}:6969/announce"
        self.process = host.lab.start([sys.executable, __file__, host.address, "6969"], host.namespace,
                                      stdout=subprocess.PIPE, text=True)
        self.hear("listening")

    def hear(self, key, **members):
        """The next line with that member, and those values."""
        timer = threading.Timer(PATIENT, self.process.kill)
        timer.start()
        try:
            for line in self.process.stdout:
                event = json.loads(line)
                if key in event and all(event[name] == value for name, value in members.items()):
                    return event
            raise LabError(f"nobody told the tracker {key} {members} in time")
        finally:
            timer.cancel()

    def wait_seed(self, info_hash, address):
        """Until somebody at that address begins with that torrent and has all of it."""
        # Of a v2 hash a tracker is told the first 40 digits (BEP 52).
        return self.hear("announced", announced=info_hash[:40], address=address, event="started", left=0)


def bencode(value):
    if isinstance(value, int):
        return b"i%de" % value
    if isinstance(value, bytes):
        return b"%d:%s" % (len(value), value)
    return b"d" + b"".join(bencode(key) + bencode(value[key]) for key in sorted(value)) + b"e"


def run_tracker(address, port):
    swarms = {}

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            parts = urllib.parse.urlsplit(self.path)
            if parts.path != "/announce":
                self.send_error(404)  # Transmission asks for a scrape too
                return
            query = urllib.parse.parse_qs(parts.query, encoding="latin-1")
            info_hash, host = query["info_hash"][0].encode("latin-1"), self.client_address[0]
            peer = bytes(map(int, host.split("."))) + int(query["port"][0]).to_bytes(2, "big")
            peers = swarms.setdefault(info_hash, set())
            if query.get("event") == ["stopped"]:
                peers.discard(peer)
            else:
                peers.add(peer)
            body = bencode({b"interval": 5, b"min interval": 1, b"peers": b"".join(peers - {peer})})
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)
            print(json.dumps({"announced": info_hash.hex(), "address": host, "event": query.get("event", [""])[0],
                              "left": int(query["left"][0])}), flush=True)

        def log_message(self, *_):
            pass

    class Server(http.server.ThreadingHTTPServer):
        def server_bind(self):
            socketserver.TCPServer.server_bind(self)  # HTTPServer's asks DNS for a name, and nobody answers here

    server = Server((address, int(port)), Handler)
    print(json.dumps({"listening": port}), flush=True)
    server.serve_forever()


# ---- Clients --------------------------------------------------------------------------------------------

class Transmission:
    """Debian's client, spoken to by its RPC inside its host's namespace."""

    def __init__(self, host, downloads=None):
        self.host, self.session = host, ""
        self.folder = host.folder / "transmission"
        (self.folder / "config").mkdir(parents=True)
        self.downloads = downloads or self.folder / "downloads"
        self.downloads.mkdir(exist_ok=True)
        settings = {"rpc-bind-address": "127.0.0.1", "rpc-port": 9091, "rpc-whitelist-enabled": False,
                    "peer-port": PORT, "dht-enabled": False, "lpd-enabled": False, "utp-enabled": False,
                    "port-forwarding-enabled": False,
                    "rpc-host-whitelist-enabled": False, "download-dir": str(self.downloads)}
        (self.folder / "config/settings.json").write_text(json.dumps(settings))
        self.process = host.lab.start([TRANSMISSION, "-f", "-g", self.folder / "config"], host.namespace,
                                      stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def rpc(self, method, **arguments):
        text = json.dumps({"method": method, "arguments": arguments})
        for _ in range(2):
            out = self.host.run("curl", "-s", "-i", "--retry", "20", "--retry-connrefused", "--retry-delay", "1",
                                "-H", f"X-Transmission-Session-Id: {self.session}", "-d", text,
                                "http://127.0.0.1:9091/transmission/rpc")
            head, _, body = out.partition("\n\n")
            if " 409 " in head.splitlines()[0]:
                self.session = next(line.split(": ", 1)[1] for line in head.splitlines()
                                    if line.lower().startswith("x-transmission-session-id"))
                continue
            answer = json.loads(body)
            if answer["result"] != "success":
                raise LabError(f"transmission: {answer}")
            return answer["arguments"]
        raise LabError("transmission gives no session id")


def fetch_by_transmission(host, torrent, into):
    client = Transmission(host, into)
    number = client.rpc("torrent-add", filename=str(torrent))["torrent-added"]["id"]

    def is_whole():
        (status,) = client.rpc("torrent-get", ids=[number], fields=["leftUntilDone", "percentDone"])["torrents"]
        return status["percentDone"] == 1 and status["leftUntilDone"] == 0

    wait_for(is_whole, PATIENT, "transmission to have everything")


def start_client(host, command):
    """A client with a home of its own, and its output in a file there."""
    home = host.folder / "home"
    home.mkdir(exist_ok=True)
    with open(host.folder / "client.log", "wb") as log:
        return host.lab.start(["env", f"HOME={home}", f"XDG_CONFIG_HOME={home}", *command], host.namespace, stdout=log,
                              stderr=subprocess.STDOUT)


def log_of(host):
    return (host.folder / "client.log").read_text(errors="replace")[-1500:]


def fetch_by_aria2(host, torrent, into):
    process = start_client(host, [
        "aria2c", "--no-conf", f"--dir={into}", "--seed-time=0", f"--listen-port={PORT}", "--enable-dht=false",
        "--enable-dht6=false", "--bt-enable-lpd=false", "--enable-peer-exchange=false", "--disable-ipv6=true",
        "--file-allocation=none", torrent])
    try:
        code = process.wait(PATIENT)
    except subprocess.TimeoutExpired as late:
        raise LabError(f"aria2c does not end: {log_of(host)}") from late
    if code:
        raise LabError(f"aria2c: exit {code}: {log_of(host)}")


def wait_done(host, process, done):
    """Until a client has made that file, as it was told to when it has everything."""
    try:
        wait_for(lambda: done.exists() or process.poll() is not None, PATIENT, "a client to have everything")
    except LabError as late:
        raise LabError(f"{late}: {log_of(host)}") from late
    if not done.exists():
        raise LabError(f"a client ended by itself: {log_of(host)}")


def fetch_by_rtorrent(host, torrent, into):
    done, session = host.folder / "done", host.folder / "session"
    session.mkdir()
    settings = host.folder / "rtorrent.rc"
    settings.write_text(f"""directory.default.set = {into}
session.path.set = {session}
network.port_range.set = {PORT}-{PORT}
dht.mode.set = disable
protocol.pex.set = no
trackers.use_udp.set = no
system.daemon.set = true
method.set_key = event.download.finished, done, "execute2={{touch,{done}}}"
""")
    process = start_client(host, ["rtorrent", "-n", "-o", f"import={settings}", torrent])
    wait_done(host, process, done)


def fetch_by_qbittorrent(host, torrent, into):
    done, profile = host.folder / "done", host.folder / "profile"
    (profile / "qBittorrent/config").mkdir(parents=True)
    (profile / "qBittorrent/config/qBittorrent.conf").write_text(f"""[LegalNotice]
Accepted=true
[AutoRun]
enabled=true
program=touch {done}
[BitTorrent]
Session\\DHTEnabled=false
Session\\LSDEnabled=false
Session\\PeXEnabled=false
Session\\Port={PORT}
[Network]
PortForwardingEnabled=false
""")
    process = start_client(host, ["qbittorrent-nox", f"--profile={profile}", f"--save-path={into}",
                                  "--skip-dialog=true", torrent])
    wait_done(host, process, done)


if __name__ == "__main__":
    run_tracker(*sys.argv[1:])
