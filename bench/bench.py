#!/usr/bin/env python3
"""./dev bench [NAME...]: measures, in one run, beside programs that do the same.

    party    one file between two hosts, MTU 1500 and 9000: lanspread, iperf3, https, https and a hash, rsync
    scan     a look at 1,000 games with 200,000 files, beside find
    start    from exec to ready, discovery, memory, with 1 and with 500 games

Each figure is the median of --runs, the best beside it; CPU is that of both ends together. Machines
that others share vary: compare ratios of one run, not figures of two. The result goes to
build/bench.json too.
"""

import argparse
import json
import os
import pathlib
import shutil
import statistics
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests/system"))

from lanlab import Lab, can_make_namespaces, make_file, run  # noqa: E402

GIB = 1 << 30
RESULTS = []

NGINX = """
user root; worker_processes 1; daemon off; pid {folder}/pid; error_log {folder}/error.log;
events {{ worker_connections 64; }}
http {{ access_log off; sendfile on; client_body_temp_path {folder}/t; proxy_temp_path {folder}/t;
  fastcgi_temp_path {folder}/t; uwsgi_temp_path {folder}/t; scgi_temp_path {folder}/t;
  server {{ listen 8443 ssl; ssl_certificate {folder}/cert.pem; ssl_certificate_key {folder}/key.pem;
    ssl_protocols TLSv1.3; ssl_conf_command Ciphersuites TLS_AES_128_GCM_SHA256; ssl_buffer_size 16k;
    output_buffers 2 256k; root {folder}/data; }} }}
"""


# ---- Measuring -----------------------------------------------------------------------------------------

def cpu_of(pid):
    """Seconds of a process and of everything below it, living or waited for."""
    total = 0.0
    for child in pathlib.Path(f"/proc/{pid}/task").glob("*/children"):
        total += sum(cpu_of(int(other)) for other in child.read_text().split())
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return total + sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")


def run_client(lab, host, servers, command):
    """(seconds, CPU seconds of both ends) of one client command that must succeed."""
    before, begun = sum(cpu_of(pid) for pid in servers), time.monotonic()
    process = lab.start(command, host.namespace, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.monotonic() - begun
    process.returncode = os.waitstatus_to_exitcode(status)
    if status:
        raise RuntimeError(f"{command}: {process.stderr.read().decode(errors='replace')[-500:]}")
    return seconds, sum(cpu_of(pid) for pid in servers) - before + usage.ru_utime + usage.ru_stime


def record(name, size, samples, **more):
    """samples: [(seconds, CPU seconds)]; prints a line of the table."""
    rates = sorted(size / (1 << 20) / seconds for seconds, _ in samples)
    entry = {"name": name, "MiB_s": round(statistics.median(rates)), "best_MiB_s": round(rates[-1]),
             "cpu_s_per_GiB": round(statistics.median(cpu for _, cpu in samples) * GIB / size, 2), "runs": len(samples),
             **more}
    RESULTS.append(entry)
    print(f"  {name:34} {entry['MiB_s']:6} MiB/s  (best {entry['best_MiB_s']})  {entry['cpu_s_per_GiB']:5.2f} CPU s/GiB",
          flush=True)
    return entry


def wait_for_port(lab, host, port):
    """Until somebody listens there: asked of the kernel by a connection, which waits for nothing else."""
    lab.start([sys.executable, "-c", "import socket, sys\nwhile True:\n try:\n  socket.create_connection(("
               "'127.0.0.1', int(sys.argv[1]))).close(); break\n except OSError: pass", port], host.namespace).wait(30)


# ---- One file between two hosts ------------------------------------------------------------------------

def bench_iperf(lab, server, client, size, runs):
    process = lab.start(["iperf3", "-s"], server.namespace, stdout=subprocess.DEVNULL)
    wait_for_port(lab, server, 5201)
    samples = [run_client(lab, client, [process.pid], ["iperf3", "-c", server.address, "-R", "-n", size])
               for _ in range(runs)]
    process.kill()
    return record("iperf3, TCP, nothing kept", size, samples)


def bench_https(lab, server, client, tmpfs, size, runs):
    folder = tmpfs / "nginx"
    folder.mkdir(exist_ok=True)
    (folder / "data").unlink(missing_ok=True)
    (folder / "data").symlink_to(tmpfs / "source/big")
    run("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2", "-subj",
        "/CN=bench", "-addext", f"subjectAltName=IP:{server.address}", "-keyout", folder / "key.pem", "-out",
        folder / "cert.pem")
    (folder / "conf").write_text(NGINX.format(folder=folder))
    process = lab.start(["nginx", "-e", folder / "error.log", "-c", folder / "conf"], server.namespace)
    wait_for_port(lab, server, 8443)
    target = tmpfs / "fetched"
    curl = f"curl -sf --cacert {folder}/cert.pem -o {target} https://{server.address}:8443/file.bin"
    plain, hashed = [], []
    for _ in range(runs):
        plain.append(run_client(lab, client, [process.pid], curl.split()))
        target.unlink()
        hashed.append(run_client(lab, client, [process.pid], ["sh", "-c", f"{curl} && sha256sum {target} >/dev/null"]))
        target.unlink()
    process.terminate()
    process.wait()
    return record("https, curl", size, plain), record("https, curl, then sha256sum", size, hashed)


def bench_rsync(lab, server, client, tmpfs, size, runs):
    conf = tmpfs / "rsyncd.conf"
    conf.write_text(f"use chroot=no\nuid=root\ngid=root\nport=8730\n[d]\npath={tmpfs}/source/big\nread only=yes\n")
    process = lab.start(["rsync", "--daemon", "--no-detach", "--config", conf], server.namespace)
    wait_for_port(lab, server, 8730)
    samples = []
    for _ in range(runs):
        samples.append(run_client(lab, client, [process.pid],
                                  ["rsync", "-W", f"rsync://{server.address}:8730/d/file.bin", tmpfs / "fetched"]))
        (tmpfs / "fetched").unlink()
    process.terminate()
    process.wait()
    return record("rsync -W", size, samples)


def bench_lanspread(lab, server, client, tmpfs, size, runs):
    samples = []
    ann = server.daemon("ann", games=tmpfs / "source", arguments=["--log-level", "warning"])
    for i in range(runs):
        games = tmpfs / f"games-{i}"
        ben = client.daemon(f"ben-{i}", games=games, arguments=["--log-level", "warning"])
        ben.wait_games(lambda shelf: shelf["big"]["sources"] == 1 and shelf["big"]["content"], timeout=120)
        before, begun = cpu_of(ann.pid) + cpu_of(ben.pid), time.monotonic()
        ben.cli("get", "big", timeout=600)
        seconds = time.monotonic() - begun
        samples.append((seconds, cpu_of(ann.pid) + cpu_of(ben.pid) - before))
        if (games / "big/file.bin").stat().st_size != size:
            raise RuntimeError("lanspread: the file that arrived is another")
        ben.kill()
        shutil.rmtree(games)
    ann.kill()
    return record("lanspread, verified", size, samples)


def bench_party(options):
    tmpfs = pathlib.Path(options.folder) / "tmpfs"
    tmpfs.mkdir()
    run("mount", "-t", "tmpfs", "-o", f"size={3 * options.size + (1 << 28)}", "tmpfs", tmpfs)
    try:
        source = tmpfs / "source/big"
        make_file(source / "file.bin", options.size, 1)
        (source / "version.ini").write_text("1\n")
        for mtu in (1500, 9000):
            print(f"one file of {options.size / GIB:g} GiB, from memory to memory, MTU {mtu}:")
            with Lab(mtu=mtu) as lab:
                server, client = lab.host("server"), lab.host("client")
                bench_iperf(lab, server, client, options.size, options.runs)
                https, hashed = bench_https(lab, server, client, tmpfs, options.size, options.runs)
                bench_rsync(lab, server, client, tmpfs, options.size, options.runs)
                ours = bench_lanspread(lab, server, client, tmpfs, options.size, options.runs)
                ours.update(mtu=mtu, to_https=round(ours["MiB_s"] / https["MiB_s"], 2),
                            to_https_and_hash=round(ours["MiB_s"] / hashed["MiB_s"], 2))
                print(f"  lanspread is {ours['to_https']} x https + curl, {ours['to_https_and_hash']} x with sha256sum")
    finally:
        run("umount", "-l", tmpfs)


# ---- Start, discovery, memory ---------------------------------------------------------------------------

def bench_start(options):
    print("start, discovery, memory:")
    for count in (1, 500):
        starts, finds, memory = [], [], 0
        for _ in range(options.runs):
            with Lab() as lab:
                ann, ben = lab.host("ann").daemon(start=False), lab.host("ben").daemon()
                for i in range(count):
                    make_file(ann.games / f"game-{i}/data", 1000, i)
                    (ann.games / f"game-{i}/version.ini").write_text("1\n")
                begun = time.monotonic()
                ann.start()
                starts.append(time.monotonic() - begun)
                ben.wait_games(lambda shelf, count=count: sum(g["sources"] for g in shelf.values()) == count)
                finds.append(time.monotonic() - begun)
                memory = ann.memory()
        entry = {"name": f"start with {count} games", "ready_s": round(statistics.median(starts), 3),
                 "listed_by_another_s": round(statistics.median(finds), 3), "resident_MiB": memory >> 20}
        RESULTS.append(entry)
        print(f"  {count:4} games: ready in {entry['ready_s']} s, listed by another after {entry['listed_by_another_s']} s, "
              f"{entry['resident_MiB']} MiB resident", flush=True)


# ---- The library ----------------------------------------------------------------------------------------

def bench_scan(options):
    run("ninja", "-C", ROOT / "build", "bench/bench-library-scan")
    output = subprocess.run([ROOT / "build/bench/bench-library-scan", pathlib.Path(options.folder) / "scan"],
                            check=True, capture_output=True, text=True).stdout
    print(output, end="", flush=True)
    ratio = next(line for line in output.splitlines() if "warm scan / find" in line).split()[-1]
    RESULTS.append({"name": "warm scan of 200,000 files", "to_find": float(ratio)})


BENCHES = {"party": bench_party, "scan": bench_scan, "start": bench_start}


def main():
    parser = argparse.ArgumentParser(prog="./dev bench", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help=" ".join(BENCHES))
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--size", type=int, default=2 * GIB, help="bytes of the one file")
    options = parser.parse_args()
    able, reason = can_make_namespaces()
    if not able:
        print(f"bench: {reason}", file=sys.stderr)
        return 1
    for name in options.names:
        if name not in BENCHES:
            parser.error(f"there is no benchmark '{name}'; there are {' '.join(BENCHES)}")
    with Lab(namespaces=False) as scratch:
        options.folder = scratch.folder
        for name in options.names or BENCHES:
            BENCHES[name](options)
    (ROOT / "build").mkdir(exist_ok=True)
    (ROOT / "build/bench.json").write_text(json.dumps(RESULTS, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
