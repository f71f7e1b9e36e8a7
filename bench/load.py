"""What serving and receiving cost at the rate of a LAN, small files, and memory."""

import pathlib
import shutil
import statistics
import time

from measure import GIB, MIB, RESULTS, Row, Sample, cpu_of, peak_memory, target, warm
from lanlab import Lab, make_file, run

GIGABIT = 1_000_000_000


def share(folder, game, files):
    """A game of files given as (name, size)."""
    for number, (name, size) in enumerate(files):
        make_file(folder / game / name, size, number)
    (folder / game / "version.ini").write_text("1\n")


def download(source, client, game, size):
    """A Sample of one download by a fresh daemon."""
    client.wait_games(lambda shelf: shelf[game]["sources"] == 1 and shelf[game]["content"], timeout=120)
    before, mine, begun = cpu_of(source.pid), cpu_of(client.pid), time.monotonic()
    client.cli("get", game, timeout=600)
    return Sample(time.monotonic() - begun, cpu_of(source.pid) - before, cpu_of(client.pid) - mine)


def bench_serving(options):
    """At 1 Gbit/s: how much of a core each end needs."""
    size = min(options.size, GIB // 2)
    print(f"{size // MIB} MiB over a link of 1 Gbit/s:")
    with Lab(rate=GIGABIT) as lab:
        server, host = lab.host("server"), lab.host("client")
        folder = pathlib.Path(options.folder) / "serving"
        share(folder, "big", [("file.bin", size)])
        source, row, serving, receiving = server.daemon("source", games=folder), Row("lanspread", size), [], []
        for number in range(options.runs):
            client = host.daemon(f"client-{number}")
            sample = download(source, client, "big", size)
            row.samples.append(sample)
            serving.append(100 * sample.serving / sample.seconds)
            receiving.append(100 * sample.receiving / sample.seconds)
            client.kill()
            shutil.rmtree(client.games)
        row.print(link="1 Gbit/s")
        target("serving at 1 Gbit/s, of a core", statistics.median(serving), 12, at_most=True, unit=" %")
        RESULTS.append({"name": "receiving at 1 Gbit/s", "percent_of_a_core": round(statistics.median(receiving), 1)})
        print(f"  receiving takes {statistics.median(receiving):.1f} % of a core", flush=True)


def bench_small(options):
    """20,000 files of 4 KiB beside one file of the same size, over 1 Gbit/s."""
    count, each = (4000 if options.quick else 20000), 4096
    print(f"{count} files of {each} bytes, and one file of the same size, over a link of 1 Gbit/s:")
    folder = pathlib.Path(options.folder) / "small"
    share(folder, "many", [(f"{number % 100}/{number}.dat", each) for number in range(count)])
    share(folder, "one", [("file.bin", count * each)])
    rows = {game: Row(text, count * each) for game, text in (("many", f"{count} small files"), ("one", "one large file"))}
    with Lab(rate=GIGABIT) as lab:
        server, host = lab.host("server"), lab.host("client")
        source = server.daemon("source", games=folder)
        for number in range(options.runs):
            client = host.daemon(f"client-{number}")
            for game, row in rows.items():
                row.samples.append(download(source, client, game, count * each))
            client.kill()
            shutil.rmtree(client.games)
        for row in rows.values():
            row.print(link="1 Gbit/s")
        ratios = [one.seconds / many.seconds for many, one in zip(rows["many"].samples, rows["one"].samples)]
        target("rate of small files / rate of one large file", statistics.median(ratios), 0.5)


def bench_memory(options):
    """The largest resident size of a seeder with 1 and with 40 peers that download at once, and of theirs."""
    size = 64 * MIB
    counts = (1, 8) if options.quick else (1, 40)
    print(f"memory, {size // MIB} MiB downloaded by {counts[0]} and by {counts[1]} peers at once:")
    tmpfs = pathlib.Path(options.folder) / "memory"
    tmpfs.mkdir()
    run("mount", "-t", "tmpfs", "-o", f"size={(counts[1] + 2) * size + 256 * MIB}", "tmpfs", tmpfs)
    try:
        warm(tmpfs, counts[1] * size)
        share(tmpfs / "source", "big", [("file.bin", size)])
        for count in counts:
            with Lab() as lab:
                source = lab.host("server").daemon("source", games=tmpfs / "source", state=tmpfs / f"state-{count}")
                clients = [lab.host(f"c{number}").daemon(f"c{number}", games=tmpfs / f"games-{count}-{number}")
                           for number in range(count)]
                for client in clients:
                    client.wait_games(lambda shelf: shelf["big"]["content"], timeout=120)
                for process in [client.start_cli("get", "big") for client in clients]:
                    process.communicate(timeout=300)
                entry = {"name": f"memory with {count} peers", "seeder_peak_MiB": peak_memory(source.pid) >> 20,
                         "downloader_peak_MiB": max(peak_memory(client.pid) for client in clients) >> 20}
                RESULTS.append(entry)
                print(f"  {count:2} peers: seeder {entry['seeder_peak_MiB']} MiB, the largest downloader "
                      f"{entry['downloader_peak_MiB']} MiB", flush=True)
            for number in range(count):
                shutil.rmtree(tmpfs / f"games-{count}-{number}", ignore_errors=True)
    finally:
        run("umount", "-l", tmpfs)
