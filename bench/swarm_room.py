"""./dev bench room: one has the game, eight want it, every line is shaped. The last one's time, as a multiple
of size / line, beside the two other ways to do it in the same run: everybody from one nginx (HTTP without
TLS), and libtorrent over TCP, all peers known to each other."""

import concurrent.futures
import json
import shutil
import subprocess
import sys
import time

from measure import RESULTS, ROOT, target, wait_for_port
from lanlab import Lab, make_file, run
from room import MIB, Room, processor_times

COUNT, RATE = 8, 200_000_000
CONF = """
user root; worker_processes 1; daemon off; pid {folder}/pid; error_log {folder}/error.log;
events {{ worker_connections 64; }}
http {{ access_log off; sendfile on; client_body_temp_path {folder}/t; proxy_temp_path {folder}/t;
  fastcgi_temp_path {folder}/t; uwsgi_temp_path {folder}/t; scgi_temp_path {folder}/t;
  server {{ listen 8080; root {folder}/data; }} }}
"""


def interpreter():
    """The Python that has libtorrent: Debian's own, where another one runs this."""
    for python in (sys.executable, "/usr/bin/python3"):
        if subprocess.run([python, "-c", "import libtorrent"], capture_output=True, check=False).returncode == 0:
            return python
    return None


def together(waits):
    """Runs them side by side; what each returned, sorted."""
    with concurrent.futures.ThreadPoolExecutor(len(waits)) as threads:
        return sorted(threads.map(lambda wait: wait(), waits))


def nginx(lab, hosts, folder, size):
    (folder / "data").mkdir()
    make_file(folder / "data/file.bin", size, 1)
    (folder / "conf").write_text(CONF.format(folder=folder))
    lab.start(["nginx", "-e", folder / "error.log", "-c", folder / "conf"], hosts[0].namespace)
    wait_for_port(lab, hosts[0], 8080)
    begun = time.monotonic()

    def fetch(host, place):
        def wait():
            process = lab.start(["curl", "-sf", "-o", place, f"http://{hosts[0].address}:8080/file.bin"], host.namespace)
            if process.wait():
                raise RuntimeError(f"curl: exit {process.returncode}")
            return time.monotonic() - begun
        return wait

    return together([fetch(host, folder / f"fetched{i}") for i, host in enumerate(hosts[1:])])


def libtorrent(lab, hosts, folder, size):
    script, torrent, go = [interpreter(), ROOT / "bench/libtorrent_peer.py"], folder / "torrent", folder / "go"
    (folder / "source").mkdir()
    make_file(folder / "source/file.bin", size, 1)
    subprocess.run([*script, "make", folder / "source/file.bin", torrent], check=True)
    lab.start([*script, "seed", hosts[0].address, torrent, folder / "source"], hosts[0].namespace)
    wait_for_port(lab, hosts[0], 6881)
    peers = []
    for host in hosts[1:]:
        place = folder / host.name
        place.mkdir()
        others = [other.address for other in hosts if other is not host]
        peers.append(lab.start([*script, "swarm", host.address, torrent, place, go, *others], host.namespace,
                               stdout=subprocess.PIPE, text=True))
        peers[-1].stdout.readline()
    go.touch()
    return together([lambda peer=peer: json.loads(peer.stdout.readline())["seconds"] for peer in peers])


def rival(name, measure, options, size):
    """Seconds of the last one, or None."""
    folder = options.folder / f"room-{name}"
    folder.mkdir()
    run("mount", "-t", "tmpfs", "-o", f"size={(COUNT + 2) * size + (64 << 20)}", "tmpfs", folder)
    try:
        with Lab() as lab:
            return measure(lab, [lab.host(f"h{i}", rate=RATE) for i in range(COUNT + 1)], folder, size)[-1]
    finally:
        run("umount", "-l", folder)


def report(name, seconds, bound, busy, **more):
    RESULTS.append({"name": f"room: {name}", "seconds": round(seconds, 2), "to_bound": round(seconds / bound, 3),
                    "processors_busy": round(busy, 2), **more})
    print(f"  {name:12} the last after {seconds:6.2f} s = {seconds / bound:5.3f} x size/line; processors {busy:.0%} busy",
          flush=True)


def timed(measure):
    busy, total = processor_times()
    result = measure()
    now = processor_times()
    return result, (now[0] - busy) / (now[1] - total)


def bench_room(options):
    size = min(options.size // 8, 256 * MIB)
    bound = size * 8 / RATE
    print(f"1 + {COUNT}, {RATE // 1_000_000} Mbit/s, {size // MIB} MiB; one copy takes {bound:.2f} s:")
    with Lab() as lab, Room(lab, COUNT, RATE, size) as room:
        room.wait_for_all()
        room.settle()
        outcome, busy = timed(room.everybody_gets_it)
        report("lanspread", outcome.last, bound, busy, copies=round(outcome.copies, 3), waste=round(outcome.waste, 4))
        target(f"the last of {COUNT} / size/line", outcome.last / bound, 1.15, at_most=True)
    for name, measure, missing in (("nginx", nginx, not shutil.which("nginx") or not shutil.which("curl")),
                                   ("libtorrent", libtorrent, not interpreter())):
        if missing:
            print(f"  {name:12} is not installed")
            continue
        seconds, busy = timed(lambda measure=measure, name=name: rival(name, measure, options, size))
        report(name, seconds, bound, busy)
