"""The torrent engine beside the same libtorrent without it, between two hosts; 500 torrents that do nothing."""

import json
import pathlib
import shutil
import subprocess

from measure import GIB, ROOT, Row, paired, target
from lanlab import Lab, run
from party import in_memory, measure_together
from rivals import Rival, Stage

PROGRAM = ROOT / "build/bench/bench-torrent"


class End(Rival):
    """Two processes of bench/torrent.c, both fresh in every round."""

    def __init__(self, stage, torrent, kind, name):
        super().__init__(stage)
        self.torrent, self.kind, self.name = torrent, kind, name

    def run(self, _):
        stage, folder = self.stage, self.stage.target
        seed = f"{stage.server.address}:6881"
        self.server = stage.lab.start([PROGRAM, "seed", self.kind, seed, self.torrent, stage.source.parent],
                                      stage.server.namespace, stdout=subprocess.PIPE)
        try:
            self.server.stdout.readline()
            folder.mkdir()
            sample = self.fetch([PROGRAM, "fetch", self.kind, f"{stage.client.address}:6881", self.torrent, folder, seed],
                                folder / "big/file.bin")
            sample.seconds = json.loads(sample.output)["seconds"]
            return sample
        finally:
            self.stop()
            shutil.rmtree(folder, ignore_errors=True)


def bench_transfer(options):
    print(f"one file of {options.size / GIB:g} GiB, one seed and one leech, from memory to memory, MTU 1500:")
    with in_memory(options, 2) as tmpfs, Lab() as lab:
        stage = Stage(lab, lab.host("server"), lab.host("client"), tmpfs, options.size, 1472)
        torrent = tmpfs / "big.torrent"
        run(PROGRAM, "make", stage.source, torrent)
        bare = End(stage, torrent, "bare", "libtorrent alone, with our settings")
        ours = End(stage, torrent, "engine", "the torrent engine")
        rows = measure_together([bare, ours], options.runs)
        for row in rows.values():
            row.print()
        target("torrent throughput / bare libtorrent", paired(rows[ours], rows[bare], Row.rate), 0.97)
        target("torrent processor time / bare libtorrent", paired(rows[ours], rows[bare], lambda _, one: one.cpu), 1.05,
               at_most=True)


def bench_idle(options):
    print("500 small torrents that are whole, stored, and seeded to nobody:")
    folder = pathlib.Path(options.folder) / "idle"
    told = json.loads(run(PROGRAM, "idle", folder, 500, 10 if options.quick else 60))
    target("start with 500 stored torrents", told["start_s"], 5, at_most=True, unit=" s")
    target("500 idle torrents, of one core", told["cpu_percent"], 1, at_most=True, unit=" %")


def bench_torrent(options):
    run("ninja", "-C", ROOT / "build", "bench/bench-torrent")
    bench_transfer(options)
    bench_idle(options)
