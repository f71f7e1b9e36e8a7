"""The page's server: the list of 5,000 games beside nginx, and what 200 event clients cost a download."""

import json
import pathlib
import re
import shutil
import statistics
import subprocess
import sys
import urllib.parse
import urllib.request

from load import GIGABIT, download, share
from measure import MIB, RESULTS, GIB, Row, target, wait_for_port
from lanlab import Lab

GAMES = 5000
CLIENTS = 200

NGINX = """
daemon off; master_process off; pid {folder}/nginx.pid; error_log {folder}/nginx.log;
events {{ worker_connections 1024; }}
http {{
  access_log off; default_type application/json; sendfile on; tcp_nopush on; keepalive_requests 1000000;
  client_body_temp_path {folder}/t1; proxy_temp_path {folder}/t2; fastcgi_temp_path {folder}/t3;
  uwsgi_temp_path {folder}/t4; scgi_temp_path {folder}/t5;
  server {{ listen 127.0.0.1:{port}; root {folder}/www; }}
}}
"""

# Opens so many event streams, says so when each has its first event, and reads them to their end.
READERS = """
import selectors, socket, sys
host, port, token, count = sys.argv[1], int(sys.argv[2]), sys.argv[3], int(sys.argv[4])
waiting, all = set(), selectors.DefaultSelector()
for _ in range(count):
    stream = socket.create_connection((host, port))
    stream.sendall(f"GET /api/events HTTP/1.1\\r\\nHost: {host}:{port}\\r\\nAuthorization: Bearer {token}\\r\\n\\r\\n".encode())
    waiting.add(stream)
    all.register(stream, selectors.EVENT_READ)
total = 0
while all.get_map():
    for key, _ in all.select():
        data = key.fileobj.recv(65536)
        total += len(data)
        if not data:
            all.unregister(key.fileobj)
        if key.fileobj in waiting and b"data:" in data:
            waiting.remove(key.fileobj)
            if not waiting:
                print("ready", flush=True)
print(total, flush=True)
"""


def catalog(folder):
    """A catalogue of 5,000 games, as an import file."""
    genres = ["Strategy", "Shooter", "Racing", "Role-playing", "Platformer"]
    games = [{"id": f"game-{number:05}", "title": f"The {number}th Game of the Hall", "genre": genres[number % 5],
              "publisher": f"Studio {number % 97}", "release": str(1990 + number % 35), "max_players": number % 32 + 1,
              "version": "20240131", "size": 10_000_000 * (number % 500 + 1)} for number in range(GAMES)]
    path = pathlib.Path(folder) / "catalog.json"
    path.write_text(json.dumps(games))
    return path


def where(daemon):
    """Its page's host and port, and the token."""
    link = urllib.parse.urlsplit(daemon.ready["page"])
    return link.hostname, link.port, link.query.removeprefix("token=")


def requests_per_second(lab, host, url, token, seconds):
    """By wrk: one thread, since the server needs the other core. Every reply must be good."""
    process = lab.start(["wrk", "-t1", "-c8", f"-d{seconds}s", "-H", f"Authorization: Bearer {token}", url],
                        host.namespace, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    output = process.communicate(timeout=seconds + 60)[0]
    if "Non-2xx" in output or "Socket errors" in output:
        raise RuntimeError(output)
    return float(re.search(r"Requests/sec:\s+([\d.]+)", output).group(1))


def bench_list(options):
    """wrk on /api/games with 5,000 games, beside a static file of the same bytes from nginx."""
    if not shutil.which("wrk") or not shutil.which("nginx"):
        print("  not measured: wrk and nginx are needed", flush=True)
        return
    with Lab(namespaces=False) as lab:
        host = lab.host("server")
        daemon = host.daemon("shelf", http="127.0.0.1:0")
        daemon.cli("catalog", "import", catalog(options.folder))
        address, port, token = where(daemon)
        ours = f"http://{address}:{port}/api/games"
        request = urllib.request.Request(ours, headers={"Authorization": f"Bearer {token}"})
        with urllib.request.urlopen(request) as reply:
            body = reply.read()
        assert len(json.loads(body)["games"]) >= GAMES
        www = pathlib.Path(options.folder) / "www"
        www.mkdir()
        (www / "games.json").write_bytes(body)
        other = port + 1 if port < 65000 else port - 1
        configuration = pathlib.Path(options.folder) / "nginx.conf"
        configuration.write_text(NGINX.format(folder=options.folder, port=other))
        lab.start(["nginx", "-e", f"{options.folder}/nginx.log", "-c", configuration], host.namespace)
        wait_for_port(lab, host, other)
        theirs, seconds, mine, static = f"http://127.0.0.1:{other}/games.json", 2 if options.quick else 5, [], []
        for _ in range(options.runs):
            static.append(requests_per_second(lab, host, theirs, token, seconds))
            mine.append(requests_per_second(lab, host, ours, token, seconds))
        for name, values in (("nginx, a static file", static), ("lanspread, /api/games", mine)):
            RESULTS.append({"name": name, "requests_s": round(statistics.median(values)), "bytes": len(body)})
            print(f"  {name:40} {statistics.median(values):7.0f} requests/s of {len(body) / MIB:.2f} MiB", flush=True)
        target("rate of /api/games with 5,000 games / nginx", statistics.median(a / b for a, b in zip(mine, static)), 0.5)


def readers(lab, host, daemon, count):
    """A process with so many event streams of the daemon's, all of them past their first event."""
    address, port, token = where(daemon)
    process = lab.start([sys.executable, "-c", READERS, address, port, token, count], host.namespace,
                        stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "ready\n"
    return process


def bench_events(options, rate, what):
    """The same download without and with 200 event streams of the peer that downloads."""
    size = min(options.size, GIB // 2)
    folder = pathlib.Path(options.folder) / f"events-{what}"
    share(folder, "big", [("file.bin", size)])
    rows = {count: Row(f"{what}, {count} event clients" if count else f"{what}, no event client", size)
            for count in (0, CLIENTS)}
    with Lab(rate=rate) as lab:
        server, host = lab.host("server"), lab.host("client")
        source = server.daemon("source", games=folder)
        for number in range(options.runs):
            for count, row in rows.items():
                client = host.daemon(f"client-{number}-{count}", http="127.0.0.1:0")
                process = readers(lab, host, client, count) if count else None
                row.samples.append(download(source, client, "big", size))
                client.kill()
                shutil.rmtree(client.games)
                if process:
                    process.wait(10)
    for row in rows.values():
        row.print()
    return statistics.median(with_them.seconds / alone.seconds
                             for alone, with_them in zip(rows[0].samples, rows[CLIENTS].samples))


def bench_page(options):
    """The page's server."""
    print(f"the page's server, {GAMES} games and {CLIENTS} event clients:")
    bench_list(options)
    ratio = bench_events(options, GIGABIT, "1 Gbit/s")
    target(f"{CLIENTS} event clients cost a download at 1 Gbit/s", 100 * (ratio - 1), 3, at_most=True, unit=" %")
    ratio = bench_events(options, None, "as fast as it goes")
    RESULTS.append({"name": "event clients at full speed", "cost_percent": round(100 * (ratio - 1), 1)})
    print(f"  where the processors are the limit they cost {100 * (ratio - 1):.1f} %", flush=True)
