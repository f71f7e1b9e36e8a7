"""What serving and receiving cost at the rate of a LAN, small files, and memory."""

import shutil
import statistics
import time

from measure import GIB, MIB, RESULTS, Row, Sample, cpu_of, memory_folder, peak_memory, target
from lanlab import Lab, make_file

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
    with memory_folder(options, 3 * size) as memory, Lab(rate=GIGABIT) as lab:
        server, host, row = lab.host("server"), lab.host("client"), Row("lanspread", size)
        share(memory / "source", "big", [("file.bin", size)])
        source = server.daemon("source", games=memory / "source")
        for number in range(options.runs):
            client = host.daemon(f"client-{number}", games=memory / "games")
            row.samples.append(download(source, client, "big", size))
            client.kill()
            shutil.rmtree(client.games)
        row.print(link="1 Gbit/s")
        # Of a whole second at the full rate, however much of it the link or a busy machine gave.
        full = GIGABIT / 8 / size
        target("serving at 1 Gbit/s, of a core", 100 * full * statistics.median(s.serving for s in row.samples), 12,
               at_most=True, unit=" %")
        receiving = 100 * full * statistics.median(s.receiving for s in row.samples)
        RESULTS.append({"name": "receiving at 1 Gbit/s", "percent_of_a_core": round(receiving, 1)})
        print(f"  receiving takes {receiving:.1f} % of a core", flush=True)
        bench_limited(options, memory, source, host)


def bench_limited(options, memory, source, host):
    """A user's limit of 2 and of 12 MB/s: who asks for little must not pay for it in packets and wake-ups."""
    for limit in (2, 12):
        size = 4 * limit * MIB
        share(memory / "source", f"limited-{limit}", [("file.bin", size)])
        source.cli("limits", "--up", f"{limit}M")
        row = Row(f"limited to {limit} MB/s", size)
        for number in range(options.runs):
            client = host.daemon(f"limited-{limit}-{number}", games=memory / "games")
            row.samples.append(download(source, client, f"limited-{limit}", size))
            client.kill()
            shutil.rmtree(client.games)
        row.print(link="1 Gbit/s")
        shares = [100 * end / s.seconds for s in row.samples for end in (s.serving, s.receiving)]
        serving, receiving = (statistics.median(shares[end::2]) for end in (0, 1))
        RESULTS.append({"name": f"limited to {limit} MB/s", "serving_percent_of_a_core": round(serving, 1),
                        "receiving_percent_of_a_core": round(receiving, 1)})
        print(f"  of a core: serving {serving:.1f} %, receiving {receiving:.1f} %", flush=True)


def bench_small(options):
    """20,000 files of 4 KiB beside one file of the same size, over 1 Gbit/s."""
    count, each = (4000 if options.quick else 20000), 4096
    print(f"{count} files of {each} bytes, and one file of the same size, from memory to memory over 1 Gbit/s:")
    with memory_folder(options, 5 * count * each) as memory, Lab(rate=GIGABIT) as lab:
        share(memory / "source", "many", [(f"{number % 100}/{number}.dat", each) for number in range(count)])
        share(memory / "source", "one", [("file.bin", count * each)])
        rows = {"many": Row(f"{count} small files", count * each), "one": Row("one large file", count * each)}
        source, host = lab.host("server").daemon("source", games=memory / "source"), lab.host("client")
        for number in range(options.runs):
            client = host.daemon(f"client-{number}", games=memory / "games")
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
    size = 32 * MIB
    counts = (1, 8) if options.quick else (1, 40)
    print(f"memory, {size // MIB} MiB downloaded by {counts[0]} and by {counts[1]} peers at once:")
    with memory_folder(options, (counts[1] + 2) * size) as memory:
        share(memory / "source", "big", [("file.bin", size)])
        for count in counts:
            with Lab() as lab:
                source = lab.host("server").daemon("source", games=memory / "source", state=memory / f"state-{count}")
                clients = [lab.host(f"c{number}").daemon(f"c{number}", games=memory / f"games-{count}-{number}")
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
                shutil.rmtree(memory / f"games-{count}-{number}", ignore_errors=True)
        few, many = RESULTS[-2:]
        for end in ("seeder", "downloader"):
            peaks = many[f"{end}_peak_MiB"], few[f"{end}_peak_MiB"]
            target(f"memory of the {end}: {counts[1]} peers / {counts[0]}", peaks[0] / peaks[1], 1.5, at_most=True)
