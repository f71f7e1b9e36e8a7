#!/usr/bin/python3
"""SIGKILL before each mutating system call of install, update, uninstall and remove, and before each
one of the recovery that follows: the game's folder holds the old state or the new one, byte for byte,
the user's files are all there, and recovery takes less than a second.

usage: kill.py INSTALL-DRIVER. LANSPREAD_FULL=1: every pair of points; else every first point, and a
sample of the second ones. Needs strace; exit status 77 (skipped) without it.
"""

import concurrent.futures
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from scenarios import SCENARIOS, USER_TEXTS, drive, snapshot

DRIVER = sys.argv[1]
FULL = os.environ.get("LANSPREAD_FULL") == "1"
CALLS = ("write,pwrite64,ftruncate,fsync,syncfs,mkdirat,renameat,renameat2,unlinkat,symlinkat,"
         "fchmod,utimensat,openat2,ioctl").split(",")


def mutating(line):
    name = line.split("(", 1)[0]
    if name == "openat2":
        return re.search(r"O_CREAT|O_WRONLY|O_RDWR|O_TRUNC", line)
    if name == "ioctl":
        return "FICLONE" in line
    return name in CALLS


def points(argv, strace_log):
    """(system call, how many of that name came before) for each mutating one."""
    subprocess.run(["strace", "-o", strace_log, "-e", "trace=" + ",".join(CALLS)] + argv,
                   check=False, stderr=subprocess.DEVNULL)
    seen = dict.fromkeys(CALLS, 0)
    result = []
    for line in open(strace_log, errors="replace"):
        name = line.split("(", 1)[0]
        if name not in seen:
            continue
        seen[name] += 1
        if mutating(line):
            result.append((name, seen[name]))
    return result


def run_killed(argv, point):
    name, number = point
    done = subprocess.run(
        ["strace", "-o", "/dev/null", "-e", f"trace={name}", "-e",
         f"inject={name}:signal=SIGKILL:when={number}"] + argv, check=False,
        stderr=subprocess.DEVNULL)
    return done.returncode in (-9, 137)


class Scenario:
    def __init__(self, root, operation):
        self.root, self.operation = root, operation
        self.template = root / operation / "template"
        SCENARIOS[operation](DRIVER, self.template)
        self.old = snapshot(self.template)
        done = self.copy("done")
        self.points = points([DRIVER, operation, str(done)], root / operation / "log")
        self.new = snapshot(done)
        assert self.old != self.new, operation
        self.has_user_files = operation in ("update", "uninstall", "remove")
        if self.has_user_files:
            self.check_user_files(self.new, "the undisturbed run")

    def copy(self, name):
        target = self.root / self.operation / name
        subprocess.run(["cp", "-a", "--reflink=auto", self.template, target], check=True)
        return target

    def check_user_files(self, state, where):
        contents = [entry[1] for entry in state.values() if len(entry) == 2]
        for text in USER_TEXTS:
            assert text in contents, f"{self.operation}, {where}: {text} is lost"

    def check(self, game, where):
        before = time.monotonic()
        drive(DRIVER, "recover", game)
        took = time.monotonic() - before
        state = snapshot(game)
        if state not in (self.old, self.new):
            for other, name in ((self.old, "old"), (self.new, "new")):
                print(f"not {name}:", {k for k in set(state) | set(other)
                                       if state.get(k) != other.get(k)})
            raise AssertionError(f"{self.operation}, {where}: a mix")
        if self.has_user_files:
            self.check_user_files(state, where)
        assert took < 1, f"recovery took {took:.2f} s"
        leftovers = {p.name for p in (game / ".lanspread").glob("*")} if (
            game / ".lanspread").exists() else set()
        assert leftovers <= {"installed", "stage"}, leftovers
        return took

    def one(self, index, point, every_second):
        """Kills at `point`; then kills the recovery at each (or some) of its points."""
        killed = self.copy(f"k{index}")
        assert run_killed([DRIVER, self.operation, str(killed)], point), point
        probe = self.root / self.operation / f"p{index}"
        subprocess.run(["cp", "-a", killed, probe], check=True)
        seconds = points([DRIVER, "recover", str(probe)],
                         self.root / self.operation / f"log{index}")
        shutil.rmtree(probe)
        worst, tried = self.check(self.clone(killed, f"c{index}"), f"killed at {point}"), 0
        for number, second in enumerate(seconds):
            if not every_second and (number + index) % 7:
                continue
            again = self.clone(killed, f"r{index}")
            assert run_killed([DRIVER, "recover", str(again)], second), second
            worst = max(worst, self.check(again, f"killed at {point}, recovery at {second}"))
            shutil.rmtree(again)
            tried += 1
        for name in (f"k{index}", f"c{index}"):
            shutil.rmtree(self.root / self.operation / name)
        return worst, tried

    def clone(self, source, name):
        target = self.root / self.operation / name
        subprocess.run(["cp", "-a", source, target], check=True)
        return target


def main():
    if not shutil.which("strace"):
        print("skipped: strace is not installed")
        return 77
    with tempfile.TemporaryDirectory(prefix="lanspread-kill-") as folder:
        root = Path(folder)
        try:
            if not run_killed(["/bin/mkdir", str(root / "probe")], ("mkdir", 1)):
                print("skipped: strace cannot inject signals here")
                return 77
        except OSError as error:
            print("skipped:", error)
            return 77
        total = second_total = 0
        worst = 0.0
        for operation in SCENARIOS:
            scenario = Scenario(root, operation)
            step = 1 if FULL else 2 if operation in ("update", "install") else 3
            chosen = list(enumerate(scenario.points))[::step]
            with concurrent.futures.ThreadPoolExecutor(2) as pool:
                results = list(pool.map(lambda item, s=scenario: s.one(item[0], item[1], FULL),
                                        chosen))
            worst = max([worst] + [r[0] for r in results])
            tried = sum(r[1] for r in results)
            total += len(chosen)
            second_total += tried
            print(f"{operation}: {len(chosen)} of {len(scenario.points)} kill points, "
                  f"{tried} more in the recovery behind them", flush=True)
            assert len(scenario.points) > 10
        print(f"{total} kill points and {second_total} in recovery; "
              f"the longest recovery took {worst * 1000:.0f} ms (a process start included)")
    return 0


sys.exit(main())
