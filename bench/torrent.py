"""The torrent engine beside the same libtorrent without it; 500 torrents that do nothing."""

import json
import pathlib
import shutil
import subprocess

from measure import ROOT, target


def run(program, what, folder, *numbers):
    folder.mkdir()
    output = subprocess.run([program, what, folder, *map(str, numbers)], check=True, capture_output=True, text=True).stdout
    shutil.rmtree(folder)
    return json.loads(output)


def bench_torrent(options):
    """The rows of ./dev bench."""
    subprocess.run(["ninja", "-C", ROOT / "build", "bench/bench-torrent"], check=True, stdout=subprocess.DEVNULL)
    program = ROOT / "build/bench/bench-torrent"
    folder = pathlib.Path(options.folder)
    mib = min(options.size >> 20, 2048)
    moved = run(program, "transfer", folder / "torrent", mib, options.runs)
    print(f"one file of {mib} MiB, one seed and one leech on loopback, in turns:\n"
          f"  bare libtorrent {mib / moved['bare_s']:7.0f} MiB/s {moved['bare_cpu_s']:6.2f} CPU s\n"
          f"  lanspread       {mib / moved['engine_s']:7.0f} MiB/s {moved['engine_cpu_s']:6.2f} CPU s", flush=True)
    target("torrent throughput / bare libtorrent", moved["throughput_ratio"], 0.97)
    target("torrent processor time / bare libtorrent", moved["cpu_ratio"], 1.05, at_most=True)
    idle = run(program, "idle", folder / "idle", 500, 10 if options.quick else 30)
    target("start with 500 stored torrents", idle["start_s"], 5, at_most=True, unit=" s")
    target("500 idle torrents, of one core", idle["cpu_percent"], 1, at_most=True, unit=" %")
