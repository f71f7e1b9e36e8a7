#!/usr/bin/env python3
"""./dev bench [NAME...]: measures, in one run, beside programs that do the same.

    party    one file between two hosts, MTU 1500, 9000 and loopback, beside https, iperf3, rsync, libtorrent …
    sources  the same from 1, 2 and 4 sources
    serving  processor time at both ends of a 1 Gbit/s link
    small    20,000 small files beside one large one, over 1 Gbit/s
    memory   the largest resident size, with 1 and with 40 peers
    start    from exec to ready, discovery, memory at rest, with 1 and with 500 games
    room     1 + 8 that want the same game, lines of 200 Mbit/s, beside one nginx for all and libtorrent
    scan     a look at 1,000 games with 200,000 files, beside find
    hash     hashing 1 GiB, beside openssl speed sha256
    unpack   archives of five kinds, beside bsdtar -x
    torrent  the torrent engine beside bare libtorrent; start and rest with 500 torrents
    page     the list of 5,000 games beside nginx, and what 200 event clients cost a download

Each figure is the median of --runs, the best beside it; processor time is of both ends together, and
of the serving and the receiving one. Whoever is compared takes turns, and ratios are medians of the
ratios of turns: machines that others share vary, and figures of two runs do not compare. The result
goes to build/bench.json too. --quick: a quarter of the file, MTU 1500 alone, one run each.
"""

import argparse
import json
import sys

from measure import GIB, RESULTS, ROOT
from hashing import bench_hash
from lanlab import Lab, can_make_namespaces
from library import bench_scan, bench_start
from load import bench_memory, bench_serving, bench_small
from page import bench_page
from party import bench_party, bench_sources
from swarm_room import bench_room
from torrent import bench_torrent
from unpack import bench_unpack

# One a row: its name and function, which takes the options (folder, size, runs, quick).
BENCHES = {
    "party": bench_party,
    "sources": bench_sources,
    "serving": bench_serving,
    "small": bench_small,
    "memory": bench_memory,
    "start": bench_start,
    "room": bench_room,
    "scan": bench_scan,
    "hash": bench_hash,
    "unpack": bench_unpack,
    "torrent": bench_torrent,
    "page": bench_page,
}


def parse_options():
    parser = argparse.ArgumentParser(prog="./dev bench", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help=" ".join(BENCHES))
    parser.add_argument("--runs", type=int)
    parser.add_argument("--size", type=int, help="bytes of the one file")
    parser.add_argument("--quick", action="store_true")
    options = parser.parse_args()
    options.runs = options.runs or (1 if options.quick else 3)
    options.size = options.size or (GIB // 2 if options.quick else 2 * GIB)
    for name in options.names:
        if name not in BENCHES:
            parser.error(f"there is no benchmark '{name}'; there are {' '.join(BENCHES)}")
    return options


def main():
    options = parse_options()
    able, reason = can_make_namespaces()
    if not able:
        print(f"bench: {reason}", file=sys.stderr)
        return 1
    with Lab(namespaces=False) as scratch:
        options.folder = scratch.folder
        for name in options.names or BENCHES:
            BENCHES[name](options)
    missed = [entry["target"] for entry in RESULTS if entry.get("reached") is False]
    for name in missed:
        print(f"bench: not reached: {name}")
    (ROOT / "build").mkdir(exist_ok=True)
    (ROOT / "build/bench.json").write_text(json.dumps(RESULTS, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
