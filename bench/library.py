"""Start, discovery and memory at rest; the scan of a large library."""

import pathlib
import statistics
import subprocess
import time

from measure import RESULTS, ROOT, target
from lanlab import Lab, make_file, run


def bench_start(options):
    print("start, discovery, memory at rest:")
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


def bench_scan(options):
    run("ninja", "-C", ROOT / "build", "bench/bench-library-scan")
    output = subprocess.run([ROOT / "build/bench/bench-library-scan", pathlib.Path(options.folder) / "scan"],
                            check=True, capture_output=True, text=True).stdout
    print(output, end="", flush=True)
    ratio = next(line for line in output.splitlines() if "warm scan / find" in line).split()[-1]
    target("warm scan of 200,000 files / find", float(ratio), 1.5, at_most=True)
