"""Hashing a game beside `openssl speed sha256`, in turns, by processor time."""

import os
import pathlib
import statistics
import subprocess

from measure import ROOT, target

LEAST = 0.85
SIZE = 1 << 30


def openssl_rate(seconds):
    """MB a second of processor time, one message of 16 KiB after the other."""
    output = subprocess.run(["openssl", "speed", "-mr", "-seconds", str(seconds), "-bytes", "16384", "sha256"], check=True,
                            capture_output=True, text=True).stdout
    return float(next(line for line in output.splitlines() if line.startswith("+F:")).split(":")[-1]) / 1e6


def our_rate(program, folder):
    output = subprocess.run([program, folder, "2"], check=True, capture_output=True, text=True).stdout
    return float(output.split()[0])


def bench_hash(options):
    """The row of ./dev bench."""
    subprocess.run(["ninja", "-C", ROOT / "build", "bench/bench-hashing"], check=True, stdout=subprocess.DEVNULL)
    program = ROOT / "build/bench/bench-hashing"
    folder = pathlib.Path(options.folder) / "hash"
    folder.mkdir()
    block = os.urandom(1 << 20)
    with open(folder / "game.pak", "wb") as file:
        for _ in range(SIZE >> 20):
            file.write(block)
    (folder / "version.ini").write_text("1\n")
    theirs, ours, ratios = [], [], []
    for _ in range(options.runs):
        theirs.append(openssl_rate(2))
        ours.append(our_rate(program, folder))
        ratios.append(ours[-1] / theirs[-1])
    print("hashing 1 GiB from the page cache, MB a second of processor time:\n"
          f"  openssl speed sha256 {statistics.median(theirs):7.0f}\n  lanspread            {statistics.median(ours):7.0f}",
          flush=True)
    target("hashing / openssl speed sha256", statistics.median(ratios), LEAST)
    (folder / "game.pak").unlink()
