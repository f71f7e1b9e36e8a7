"""One file between two hosts, beside everybody else: MTU 1500, 9000 and loopback; and more sources."""

import contextlib

from measure import GIB, MIB, Row, memory_folder, paired, target
from lanlab import Lab, make_file
from rivals import (BareFile, BareMemory, Endpoint, Hash, Https, HttpsHashed, Iperf, Lanspread, Libtorrent, Rsync, Stage,
                    Syncthing, Unable)


@contextlib.contextmanager
def in_memory(options, copies):
    """A folder in memory with room for so many copies of the file, and the game to share in it."""
    with memory_folder(options, copies * options.size + 64 * MIB) as folder:
        source = folder / "source/big"
        make_file(source / "file.bin", options.size, 1)
        (source / "version.ini").write_text("1\n")
        yield folder


def take_sample(rival, row, number):
    """One try more when it fails; then it is out, for samples of one round belong together."""
    for again in (True, False):
        try:
            row.samples.append(rival.run(number))
            return
        except Unable as error:
            row.trouble = str(error)
            return
        except RuntimeError as error:
            if not again:
                row.samples, row.trouble = [], str(error)


def measure_together(rivals, runs):
    """All of them once, then all once more, backwards, …: what disturbs one disturbs its neighbours too."""
    rows = {rival: Row(rival.name, rival.stage.size) for rival in rivals}
    try:
        for rival in rivals:
            try:
                rival.start()
            except Unable as error:
                rows[rival].trouble = str(error)
        for number in range(runs):
            for rival in rivals[::-1] if number % 2 else rivals:
                if not rows[rival].trouble:
                    take_sample(rival, rows[rival], number)
    finally:
        for rival in rivals:
            rival.stop()
    return rows


def rivals_of(stage, options):
    https = Https(stage)
    rivals = [https, HttpsHashed(stage, https, "sha256sum"), HttpsHashed(stage, https, "openssl dgst -sha256"),
              Lanspread(stage), BareFile(stage), Hash(stage), BareMemory(stage), Endpoint(stage), Iperf(stage),
              Rsync(stage)]
    if not options.quick:
        rivals += [Libtorrent(stage), Syncthing(stage)]
    return rivals


def judge(rows, where, firm):
    """The ratios; where they are targets, with yes or no."""
    def find(kind, number=0):
        return [row for rival, row in rows.items() if isinstance(rival, kind)][number]

    ours, https, bare = find(Lanspread), find(Https), find(BareMemory)
    rate = Row.rate
    ratios = [("lanspread / (https, curl)", paired(ours, https, rate), 1.0),
              ("lanspread / (https, curl, sha256sum)", paired(ours, find(HttpsHashed), rate), 1.1),
              ("lanspread / (https, curl, openssl dgst)", paired(ours, find(HttpsHashed, 1), rate), 1.1),
              ("our endpoint / bare ngtcp2 stream, into memory", paired(find(Endpoint), bare, rate), 0.9)]
    for kind in (Libtorrent, Syncthing):
        if any(isinstance(rival, kind) for rival in rows):
            ratios.append((f"lanspread / {kind.name}", paired(ours, find(kind), rate), 2.0))
    files, hashes = find(BareFile), find(Hash)
    both = [ours_.cpu / (file.cpu + hashed.cpu)
            for ours_, file, hashed in zip(ours.samples, files.samples, hashes.samples)]
    for what, value, limit in ratios:
        target(f"{where}: {what}", value, limit if firm else 0)
    target(f"{where}: CPU / (bare stream into tmpfs + SHA-256 of the file)",
           sorted(both)[len(both) // 2] if both else None, 1.05 if firm else 99, at_most=True)


def bench_party(options):
    places = [("MTU 1500", 1500, 1472), ("MTU 9000", 9000, 8972), ("loopback", None, 8972)]
    with in_memory(options, 3) as tmpfs:
        for where, mtu, payload in places[:1] if options.quick else places:
            print(f"one file of {options.size / GIB:g} GiB, from memory to memory, {where}:")
            with Lab(namespaces=bool(mtu), mtu=mtu or 1500) as lab:
                stage = Stage(lab, lab.host("server"), lab.host("client"), tmpfs, options.size, payload)
                # On loopback both ends would be one syncthing, one libtorrent and their one port.
                rivals = [rival for rival in rivals_of(stage, options)
                          if mtu or not isinstance(rival, (Libtorrent, Syncthing))]
                rows = measure_together(rivals, options.runs)
                for row in rows.values():
                    row.print(place=where)
                judge(rows, where, mtu == 1500)


def bench_sources(options):
    print(f"one file of {options.size / GIB:g} GiB from 1, 2 and 4 sources, MTU 1500:")
    with in_memory(options, 2) as tmpfs, Lab() as lab:
        stage = Stage(lab, lab.host("server"), lab.host("client"), tmpfs, options.size, 1472)
        for count in (1, 2, 4):
            rows = measure_together([Lanspread(stage, count)], options.runs)
            for row in rows.values():
                row.print(sources=count)
