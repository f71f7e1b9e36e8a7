"""A BitTorrent client that is not ours: libtorrent by its Python binding, as a program.

    stranger.py make FOLDER OUTPUT v1|v2|hybrid [PIECE-LENGTH]     prints {"v1", "v2", "name"}
    stranger.py run LISTEN-PORT                                    then commands as JSON lines on stdin:
        {"add": FILE or MAGNET, "into": FOLDER, "peers": ["ADDR:PORT"], "seed": bool, "limit": bytes/s up,
         "limit_down": bytes/s}
        {"status": HASH}         {"unlimit": HASH}
        {"sent": true}     the blocks that it sent since it was asked for them last; the first time begins the count
    and events as JSON lines on stdout: {"listening": PORT}, {"added": HASH}, {"finished": HASH, "name"}, {"error": …},
    {"status": HASH, "done": bytes, "total": bytes, "wrong": pieces whose hash was another, "peers": N},
    {"sent": {HASH: [[PIECE, BLOCK], …]}}

It must run under a Python that has the module libtorrent (Debian: python3-libtorrent for /usr/bin/python3);
`find()` finds one.
"""

import json
import os
import select
import socket
import subprocess
import sys


def find():
    """A Python with libtorrent, or None."""
    for python in ("/usr/bin/python3", sys.executable):
        if os.path.exists(python) and subprocess.run([python, "-c", "import libtorrent"], stderr=subprocess.DEVNULL,
                                                     check=False).returncode == 0:
            return python
    return None


def make(folder, output, kind, piece_length="0"):
    import libtorrent as lt
    storage = lt.file_storage()
    lt.add_files(storage, folder)
    flags = {"v1": lt.create_torrent.v1_only, "v2": lt.create_torrent.v2_only, "hybrid": 0}[kind]
    torrent = lt.create_torrent(storage, int(piece_length), flags=flags)
    lt.set_piece_hashes(torrent, os.path.dirname(os.path.abspath(folder)))
    with open(output, "wb") as file:
        file.write(lt.bencode(torrent.generate()))
    info = lt.torrent_info(output)
    hashes = info.info_hashes()
    print(json.dumps({"v1": str(hashes.v1) if hashes.has_v1() else None, "name": info.name(),
                      "v2": str(hashes.v2) if hashes.has_v2() else None}))


def say(**event):
    print(json.dumps(event), flush=True)


def add(lt, session, command):
    source = command["add"]
    if source.startswith("magnet:"):
        parameters = lt.parse_magnet_uri(source)
    else:
        parameters = lt.add_torrent_params()
        parameters.ti = lt.torrent_info(source)
    parameters.save_path = command["into"]
    parameters.flags &= ~(lt.torrent_flags.auto_managed | lt.torrent_flags.paused)
    if command.get("seed"):
        parameters.flags |= lt.torrent_flags.seed_mode
    if command.get("limit"):
        parameters.upload_limit = command["limit"]
    if command.get("limit_down"):
        parameters.download_limit = command["limit_down"]
    handle = session.add_torrent(parameters)
    for peer in command.get("peers", []):
        address, port = peer.rsplit(":", 1)
        handle.connect_peer((address, int(port)))
    return handle


def name_of(handle):
    return str(handle.info_hashes().get_best())


class Client:
    """What it has in its session, and what was counted of it."""

    def __init__(self, lt, session):
        self.lt, self.session, self.handles, self.wrong, self.sent = lt, session, {}, {}, {}

    def look(self):
        lt = self.lt
        for alert in self.session.pop_alerts():
            if isinstance(alert, lt.torrent_finished_alert):
                alert.handle.flush_cache()  # the last blocks may still wait to be written
            elif isinstance(alert, lt.cache_flushed_alert):
                status = alert.handle.status()
                if status.is_finished:
                    say(finished=name_of(alert.handle), name=status.name)
            elif isinstance(alert, lt.hash_failed_alert):
                name = name_of(alert.handle)
                self.wrong[name] = self.wrong.get(name, 0) + 1
            elif isinstance(alert, lt.block_uploaded_alert):
                self.sent.setdefault(name_of(alert.handle), []).append((alert.piece_index, alert.block_index))
            elif isinstance(alert, (lt.torrent_error_alert, lt.file_error_alert)):
                say(error=alert.message())

    def obey(self, command):
        if "status" in command:
            name = command["status"]
            status = self.handles[name].status()
            say(status=name, done=status.total_wanted_done, total=status.total_wanted, wrong=self.wrong.get(name, 0),
                peers=status.num_peers)
        elif "unlimit" in command:
            self.handles[command["unlimit"]].set_download_limit(-1)
        elif "sent" in command:
            self.session.apply_settings({
                "alert_queue_size": 1 << 20,
                "alert_mask": usual_alerts(self.lt) | self.lt.alert.category_t.upload_notification})
            self.look()
            say(sent=self.sent)
            self.sent = {}
        else:
            handle = add(self.lt, self.session, command)
            self.handles[name_of(handle)] = handle
            say(added=name_of(handle))


def usual_alerts(lt):
    return lt.alert.category_t.status_notification | lt.alert.category_t.error_notification | \
        lt.alert.category_t.storage_notification


def hush(woken):
    """The bell rang; what it rang for is read next."""
    try:
        woken.recv(4096)
    except BlockingIOError:
        pass


def run(port):
    import libtorrent as lt
    session = lt.session({
        "listen_interfaces": f"0.0.0.0:{port}", "enable_dht": False, "enable_lsd": False, "enable_upnp": False,
        "enable_natpmp": False, "allow_multiple_connections_per_ip": True, "enable_outgoing_utp": False,
        "alert_mask": usual_alerts(lt)})
    # Not wait_for_alert: it returns a pointer into a queue that the session's thread moves when it grows, and the
    # binding reads through it.
    woken, bell = socket.socketpair()
    woken.setblocking(False)
    bell.setblocking(False)
    session.set_alert_fd(bell.fileno())
    while not session.listen_port():
        select.select([woken], [], [], 0.1)
        hush(woken)
        session.pop_alerts()
    say(listening=session.listen_port())
    pending, client = "", Client(lt, session)
    while True:
        ready, _, _ = select.select([sys.stdin, woken], [], [], 1)
        hush(woken)
        if sys.stdin in ready:
            data = os.read(0, 65536).decode()
            if not data:
                return
            pending += data
        while "\n" in pending:
            line, pending = pending.split("\n", 1)
            client.obey(json.loads(line))
        client.look()


if __name__ == "__main__":
    {"make": make, "run": run}[sys.argv[1]](*sys.argv[2:])
