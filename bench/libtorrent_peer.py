#!/usr/bin/env python3
"""One libtorrent peer, for ./dev bench: over TCP alone, tuned for a LAN, without DHT and its like.

    libtorrent_peer.py make FILE TORRENT
    libtorrent_peer.py seed ADDRESS TORRENT FOLDER
    libtorrent_peer.py fetch ADDRESS TORRENT FOLDER SEEDER
    libtorrent_peer.py swarm ADDRESS TORRENT FOLDER GO PEER...
                       begins once the file GO is there, with all peers, and seeds on when it is done
"""

import json
import os
import signal
import sys
import time

try:
    import libtorrent
except ImportError:
    sys.exit("python3-libtorrent is not installed")

SETTINGS = {
    "enable_lsd": False, "enable_dht": False, "enable_upnp": False, "enable_natpmp": False, "alert_mask": 0,
    "enable_outgoing_utp": False, "enable_incoming_utp": False, "out_enc_policy": 2, "in_enc_policy": 2,
    "max_out_request_queue": 2000, "max_allowed_in_request_queue": 4000, "request_queue_time": 10,
    "send_buffer_watermark": 10 << 20, "send_buffer_watermark_factor": 150, "send_buffer_low_watermark": 1 << 20,
    "hashing_threads": 2, "aio_threads": 2,
}


def make(file, torrent):
    storage = libtorrent.file_storage()
    libtorrent.add_files(storage, file)
    made = libtorrent.create_torrent(storage, 4 << 20, flags=64)  # version 1 alone
    libtorrent.set_piece_hashes(made, os.path.dirname(file))
    with open(torrent, "wb") as out:
        out.write(libtorrent.bencode(made.generate()))


def open_peer(address, torrent, folder, seeding):
    session = libtorrent.session({**SETTINGS, "listen_interfaces": f"{address}:6881"})
    parameters = libtorrent.add_torrent_params()
    parameters.ti = libtorrent.torrent_info(torrent)
    parameters.save_path = folder
    if seeding:
        parameters.flags |= libtorrent.torrent_flags.seed_mode
    parameters.flags &= ~(libtorrent.torrent_flags.auto_managed | libtorrent.torrent_flags.paused)
    return session, session.add_torrent(parameters)


def fetch(address, torrent, folder, seeder):
    _session, handle = open_peer(address, torrent, folder, False)
    begun = asked = 0
    while not handle.status().is_seeding:
        now = time.monotonic()
        if not begun or (now - asked > 2 and handle.status().num_peers == 0):
            begun, asked = begun or now, now
            handle.connect_peer((seeder, 6881))
        time.sleep(0.01)
    print(json.dumps({"seconds": time.monotonic() - begun}), flush=True)
    os._exit(0)


def swarm(address, torrent, folder, go, *peers):
    _session, handle = open_peer(address, torrent, folder, False)
    print("ready", flush=True)
    while not os.path.exists(go):
        time.sleep(0.01)
    begun = time.monotonic()
    for peer in peers:
        handle.connect_peer((peer, 6881))
    while not handle.status().is_seeding:
        time.sleep(0.01)
    print(json.dumps({"seconds": time.monotonic() - begun}), flush=True)
    signal.pause()


if __name__ == "__main__":
    command, arguments = sys.argv[1], sys.argv[2:]
    if command == "make":
        make(*arguments)
    elif command == "seed":
        kept = open_peer(*arguments, True)
        signal.pause()
    elif command == "swarm":
        swarm(*arguments)
    else:
        fetch(*arguments)
