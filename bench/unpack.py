#!/usr/bin/env python3
"""Unpacking with lanspread-unpack beside `bsdtar -x` on the same archives: wall clock and CPU.

usage: unpack.py [--size MIB] [--runs N] [BUILD-FOLDER]

Both read from the page cache and write to the same filesystem; neither is synced within the time, as
bsdtar never syncs (an install syncs once, afterwards). Runs alternate. The result is the median;
ratios above 1.15 end with status 1.
"""

import argparse
import json
import os
import pathlib
import resource
import shutil
import statistics
import struct
import subprocess
import sys
import tempfile
import time

from measure import ROOT, target

LIMIT = 1.15
ARCHIVES = {  # what a name's archive is made with; bsdtar guesses the rest from it
    "stored.tar": ["--format", "pax"],
    "game.tar.gz": ["-z"],
    "game.tar.zst": ["--zstd"],
    "game.zip": ["--format", "zip"],
    "game.7z": ["--format", "7zip", "--options", "7zip:compression=lzma1,7zip:compression-level=1"],
}


def make_content(folder, size):
    """Half of it in large files, half in small ones; half of the bytes compress, half do not."""
    folder.mkdir()
    text = b"".join(b"line %d of something that compresses well\n" % n for n in range(25000))
    for number in range(4):
        with open(folder / f"large{number}.pak", "wb") as out:
            for _ in range(size // 8 >> 20):
                out.write(os.urandom(1 << 19) + text[:1 << 19])
    for number in range(size // 2 // 65536):
        path = folder / f"small/{number % 64}"
        path.mkdir(parents=True, exist_ok=True)
        (path / f"{number}.dat").write_bytes(os.urandom(32768) + text[number:number + 32768])


def measured(start):
    """(wall, CPU) seconds of a child that start() runs to its end."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    begun = time.monotonic()
    start()
    wall = time.monotonic() - begun
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return wall, (after.ru_utime + after.ru_stime) - (before.ru_utime + before.ru_stime)


def by_bsdtar(archive, target):
    subprocess.run(["bsdtar", "-xf", str(archive), "-C", str(target)], check=True)


def by_lanspread(helper, archive, target):
    """Speaks the protocol of app/lanspread-unpack.c."""
    request = json.dumps({"mode": "unpack", "volumes": [archive.name], "bytes": 1 << 44, "ratio": 1000,
                          "ratio_free": 1 << 30, "entries": 1000000, "depth": 64, "memory": 4 << 30}).encode()
    folders = [os.open(archive.parent, os.O_RDONLY), os.open(target, os.O_RDONLY)]
    high = [os.dup2(fd, 20 + number) for number, fd in enumerate(folders)]
    actions = [(os.POSIX_SPAWN_DUP2, high[0], 3), (os.POSIX_SPAWN_DUP2, high[1], 4)]
    to_child, from_child = os.pipe(), os.pipe()
    actions += [(os.POSIX_SPAWN_DUP2, to_child[0], 0), (os.POSIX_SPAWN_DUP2, from_child[1], 1)]
    pid = os.posix_spawn(helper, [helper], os.environ, file_actions=actions)
    os.close(to_child[0])
    os.close(from_child[1])
    os.write(to_child[1], struct.pack(">I", len(request)) + request)
    os.close(to_child[1])
    answer = b""
    while chunk := os.read(from_child[0], 65536):
        answer = (answer + chunk)[-4096:]
    _, status = os.waitpid(pid, 0)
    for fd in folders + high + [from_child[0]]:
        os.close(fd)
    if status or b'"done"' not in answer:
        raise RuntimeError(f"lanspread-unpack failed: {answer!r}")


def compare(name, archive, work, helper, runs):
    samples = {"bsdtar": [], "lanspread": []}
    for number in range(2 * runs + 2):
        who = ("bsdtar", "lanspread")[number % 2]
        target = work / f"out{number}"
        target.mkdir()
        os.sync()
        sample = measured(lambda t=target, w=who: by_bsdtar(archive, t) if w == "bsdtar"
                          else by_lanspread(helper, archive, t))
        if number >= 2:  # the first pair warms up
            samples[who].append(sample)
        shutil.rmtree(target)
    wall, cpu = ({who: statistics.median(sample[i] for sample in samples[who]) for who in samples}
                 for i in (0, 1))
    ratios = wall["lanspread"] / wall["bsdtar"], cpu["lanspread"] / cpu["bsdtar"]
    print(f"  {name:14} bsdtar {wall['bsdtar']:6.2f} s, CPU {cpu['bsdtar']:6.2f} s   "
          f"lanspread {wall['lanspread']:6.2f} s, CPU {cpu['lanspread']:6.2f} s   "
          f"ratio {ratios[0]:.2f} wall, {ratios[1]:.2f} CPU", flush=True)
    return ratios


def run_all(work, helper, size, runs):
    """{archive: (wall ratio, CPU ratio)} over all kinds."""
    make_content(work / "content", size)
    ratios = {}
    for name, how in ARCHIVES.items():
        archive = work / "archives" / name
        archive.parent.mkdir(exist_ok=True)
        subprocess.run(["bsdtar", "-cf", str(archive), *how, "-C", str(work / "content"), "."], check=True)
        ratios[name] = compare(name, archive, work, helper, runs)
        archive.unlink()
    print(f"  worst ratio {max(map(max, ratios.values())):.2f}, allowed {LIMIT}", flush=True)
    return ratios


def bench_unpack(options):
    """The row of ./dev bench."""
    work = pathlib.Path(options.folder) / "unpack"
    work.mkdir()
    size = min(options.size, 256 << 20)
    print(f"unpacking {size >> 20} MiB, half of it in small files, beside bsdtar -x:", flush=True)
    ratios = run_all(work, str(ROOT / "build/app/lanspread-unpack"), size, max(options.runs, 3))
    for name, (wall, cpu) in ratios.items():
        target(f"unpacking {name}, time / bsdtar", wall, LIMIT, at_most=True)
        target(f"unpacking {name}, processor time / bsdtar", cpu, LIMIT, at_most=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--size", type=int, default=256, help="MiB of content")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("build", nargs="?", default=str(ROOT / "build"))
    options = parser.parse_args()
    helper = str(pathlib.Path(options.build) / "app/lanspread-unpack")
    if not shutil.which("bsdtar"):
        print("skipped: bsdtar (package libarchive-tools) is not installed")
        return 77
    with tempfile.TemporaryDirectory(prefix="lanspread-bench-") as folder:
        ratios = run_all(pathlib.Path(folder), helper, options.size << 20, options.runs)
    return 0 if max(map(max, ratios.values())) <= LIMIT else 1


if __name__ == "__main__":
    sys.exit(main())
