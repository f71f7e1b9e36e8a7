"""Measuring: processor time of processes, samples, medians, ratios of runs side by side."""

import contextlib
import os
import pathlib
import statistics
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests/system"))

from lanlab import run  # noqa: E402

GIB = 1 << 30
MIB = 1 << 20
RESULTS = []  # what is written to build/bench.json


def cpu_of(pid):
    """Seconds of a process and of everything below it, living or waited for."""
    total = 0.0
    for child in pathlib.Path(f"/proc/{pid}/task").glob("*/children"):
        total += sum(cpu_of(int(other)) for other in child.read_text().split())
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return total + sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")


def peak_memory(pid):
    """Bytes: the largest resident size so far."""
    for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    return 0


class Sample:
    """One run: its seconds, and the processor's at the serving and at the receiving end."""

    def __init__(self, seconds, serving, receiving):
        self.seconds, self.serving, self.receiving = seconds, serving, receiving

    @property
    def cpu(self):
        return self.serving + self.receiving


def run_client(lab, host, servers, command):
    """A Sample of one client command, which must succeed, and of the processes that serve it."""
    before, begun = sum(cpu_of(pid) for pid in servers), time.monotonic()
    process = lab.start(command, host.namespace, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    output = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.monotonic() - begun
    process.returncode = os.waitstatus_to_exitcode(status)
    if status:
        raise RuntimeError(f"{command}: {process.stderr.read().decode(errors='replace')[-500:]}")
    sample = Sample(seconds, sum(cpu_of(pid) for pid in servers) - before, usage.ru_utime + usage.ru_stime)
    sample.output = output
    return sample


def wait_for_port(lab, host, port):
    """Until somebody listens there: a connection is tried again and again, and sent nothing."""
    lab.start([sys.executable, "-c", "import socket, sys\nwhile True:\n try:\n  socket.create_connection((sys.argv[1], "
               "int(sys.argv[2]))).close(); break\n except OSError: pass", host.address, port], host.namespace).wait(30)


class Row:
    """One line of a table: what somebody did, over all rounds."""

    def __init__(self, name, size):
        self.name, self.size, self.samples, self.trouble = name, size, [], None

    def rate(self, sample):
        return self.size / MIB / sample.seconds

    def print(self, **more):
        if not self.samples:
            RESULTS.append({"name": self.name, "skipped": self.trouble, **more})
            print(f"  {self.name:40} not measured: {self.trouble}", flush=True)
            return
        per_gib = GIB / self.size
        rates = sorted(map(self.rate, self.samples))
        entry = {"name": self.name, "MiB_s": round(statistics.median(rates), 1), "best_MiB_s": round(rates[-1], 1),
                 "serving_s_per_GiB": round(statistics.median(s.serving for s in self.samples) * per_gib, 2),
                 "receiving_s_per_GiB": round(statistics.median(s.receiving for s in self.samples) * per_gib, 2),
                 "cpu_s_per_GiB": round(statistics.median(s.cpu for s in self.samples) * per_gib, 2),
                 "runs": len(self.samples), **more}
        RESULTS.append(entry)
        print(f"  {self.name:40} {entry['MiB_s']:7.0f} MiB/s (best {entry['best_MiB_s']:5.0f})   CPU s/GiB "
              f"{entry['cpu_s_per_GiB']:5.2f} = {entry['serving_s_per_GiB']:.2f} + {entry['receiving_s_per_GiB']:.2f}",
              flush=True)


def paired(ours, theirs, of):
    """The median over the rounds of of(ours) / of(theirs); None when one of them was not measured."""
    pairs = list(zip(ours.samples, theirs.samples))
    if not pairs:
        return None
    return statistics.median(of(ours, mine) / of(theirs, other) for mine, other in pairs)


def target(what, value, limit, at_most=False, unit=""):
    """A figure beside what it is to reach, and whether it does."""
    if value is None:
        print(f"  {what:66} not measured", flush=True)
        return
    reached = value <= limit if at_most else value >= limit
    RESULTS.append({"target": what, "value": round(value, 3), "limit": limit, "at_most": at_most, "reached": reached})
    print(f"  {what:66} {value:6.2f}{unit}  ({'at most' if at_most else 'at least'} {limit}{unit}: "
          f"{'yes' if reached else 'NO'})", flush=True)


@contextlib.contextmanager
def memory_folder(options, size):
    """
    A filesystem in memory with room for so many bytes, and each touched once: a virtual machine gets a
    page from its host at first use, which costs far more than anything that is measured here.
    """
    folder = pathlib.Path(options.folder) / "memory"
    folder.mkdir(exist_ok=True)
    run("mount", "-t", "tmpfs", "-o", f"size={size + 64 * MIB}", "tmpfs", folder)
    try:
        with open(folder / "warm", "wb") as out:
            for _ in range(size // MIB):
                out.write(b"\xff" * MIB)
        (folder / "warm").unlink()
        yield folder
    finally:
        run("umount", "-l", folder)
