"""A room full of machines that all want the same game: what it took, beside what cannot be beaten.

    with Lab() as lab, Room(lab, 8, rate=200_000_000, size=512 << 20) as room:
        outcome = room.everybody_gets_it()
        print(outcome)

Cables are shaped both ways. The bound is one copy over one cable, without any framing. All data is in
memory (a tmpfs), so that one disk for all does not decide.
"""

import concurrent.futures
import dataclasses
import os
import pathlib
import time

from lanlab import make_file, run, wait_for

MIB = 1 << 20
GAME = "quake"
# The figure is the swarm's, not that of what else runs on this machine.
HURRY = ("nice", "-n", "-19")


def processor_times():
    """(busy, all) of the whole machine so far, in ticks."""
    fields = [int(word) for word in pathlib.Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]]
    return sum(fields) - fields[3] - fields[4], sum(fields)


def cpu_of(pid):
    """Seconds of a process and its children."""
    total = 0.0
    for child in pathlib.Path(f"/proc/{pid}/task").glob("*/children"):
        total += sum(cpu_of(int(other)) for other in child.read_text().split())
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return total + sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")


@dataclasses.dataclass
class Outcome:
    what: str
    bound: float        # seconds
    first: float        # seconds, of who was done first
    last: float         # seconds, of the last one
    copies: float = 0   # that the seeder sent
    waste: float = 0    # share of the payload that came twice or in vain
    cpu: float = 0      # seconds of all daemons
    busy: float = 0     # share of the machine's processors that was in use, by anybody

    @property
    def ratio(self):
        return self.last / self.bound

    def __str__(self):
        return (f"{self.what}: the last after {self.last:.2f} s, bound {self.bound:.2f} s = {self.ratio:.3f} "
                f"(first {self.first / self.bound:.3f}); seeder sent {self.copies:.3f} x, waste {self.waste:.2%}, "
                f"{self.cpu:.1f} s of CPU, processors {self.busy:.0%} busy")


class Room:
    """A seeder and `count` others, connected, who know of the game."""

    def __init__(self, lab, count, rate, size, rates=None, arguments=("--log-level", "warning")):
        self.lab, self.rate, self.size = lab, rate, size
        self.folder = lab.folder / "room"
        self.folder.mkdir()
        run("mount", "-t", "tmpfs", "-o", f"size={(count + 1) * size + (256 << 20)}", "tmpfs", self.folder)
        self.daemons = []
        try:
            for i in range(count + 1):
                host = lab.host(f"h{i}", rate=rates[i] if rates else rate)
                games = self.folder / f"games{i}"
                games.mkdir()
                if i == 0:
                    self.lay(games)
                self.daemons.append(host.daemon(games=games, arguments=list(arguments), wrapper=HURRY))
        except BaseException:
            self.close()
            raise
        self.seeder, self.others = self.daemons[0], self.daemons[1:]
        self.total = sum(path.stat().st_size for path in (self.seeder.games / GAME).rglob("*") if path.is_file())

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        for daemon in self.daemons:
            daemon.kill()
        run("umount", "-l", self.folder)

    def lay(self, games):
        make_file(games / GAME / "data.bin", self.size, 1)
        (games / GAME / "version.ini").write_text("1\n")

    def wait_for_all(self):
        for daemon in self.others:
            daemon.wait_games(lambda games: games[GAME]["sources"] >= 1 and games[GAME]["content"], timeout=120)
        for daemon in self.daemons:
            daemon.wait_peers(len(self.daemons) - 1, timeout=120)

    def discovery_cpu(self):
        return sum(cpu_of(pid) for daemon in self.daemons for pid, name in daemon.children().items()
                   if name.startswith("lanspread-disco"))

    def settle(self, quiet=17, timeout=150):
        """Waits until discovery has been quiet for so many seconds.

        Who just started asks for the others 1, 2, 4, 8, 16 and 32 s later, and everybody hears every answer. At a
        party that is over when somebody finds a game, and each machine hears it alone; here one machine hears it
        for all of them."""
        last, since = self.discovery_cpu(), time.monotonic()

        def is_quiet():
            nonlocal last, since
            now = self.discovery_cpu()
            if now - last > 0.1:
                last, since = now, time.monotonic()
            return time.monotonic() - since > quiet

        wait_for(is_quiet, timeout, "rest of discovery")

    def everybody_gets_it(self, timeout=600):
        """All are told at once, over connections that are there: twenty starts of a program on this machine, which at
        a party are on twenty machines, would take a tenth of the time of the whole room."""
        self.wait_for_all()
        for daemon in self.others:
            os.setpriority(os.PRIO_PROCESS, daemon.collector.native_id, -19)  # as HURRY
        marks = [daemon.mark() for daemon in self.others]
        before, busy, begun = [cpu_of(daemon.pid) for daemon in self.daemons], processor_times(), time.monotonic()
        for daemon in self.others:
            daemon.watcher.send("download_game_files", game=GAME)

        def wait(daemon, mark):
            os.setpriority(os.PRIO_PROCESS, 0, -19)
            daemon.wait_done("download", GAME, since=mark, timeout=timeout)
            return time.monotonic() - begun

        with concurrent.futures.ThreadPoolExecutor(len(self.others)) as threads:
            times = sorted(threads.map(wait, self.others, marks))
        now = processor_times()
        received = sum(daemon.status()["received"] for daemon in self.others)
        return Outcome(f"1+{len(self.others)} {self.rate / 1e6:.0f} Mbit/s {self.size / MIB:.0f} MiB",
                       self.total * 8 / self.rate, times[0], times[-1], self.seeder.status()["sent"] / self.total,
                       received / (len(self.others) * self.total) - 1,
                       sum(cpu_of(daemon.pid) for daemon in self.daemons) - sum(before),
                       (now[0] - busy[0]) / max(1, now[1] - busy[1]))
