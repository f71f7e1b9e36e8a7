"""Installing while everything goes wrong: kills, full and broken disks, archives that lie."""

import io
import lzma
import os
import random
import re
import shutil
import struct
import subprocess
import sys
import tarfile
import time
import zipfile
import zlib

import pytest

from lanlab import ROOT, make_file, run, tree
from test_install import Gate, lay, pack

sys.path.insert(0, str(ROOT / "tests/unit/install"))
from scenarios import USER_TEXTS, archive, snapshot, user_files  # noqa: E402

# ---- Killed at any system call -------------------------------------------------------------------------

CALLS = ("write,pwrite64,ftruncate,fsync,syncfs,mkdirat,renameat,renameat2,unlinkat,symlinkat,fchmod,utimensat,"
         "openat2").split(",")
LINE = re.compile(r"^(\d+) +(\w+)\((.*)")


def without_dates(state):
    """Kept folders have the day in their names."""
    return {re.sub(r"local\.kept-\d{4}-\d\d-\d\d", "local.kept", name): entry for name, entry in state.items()}


class Victim:
    """A daemon whose game is made anew, whose operation is killed, and who starts again."""

    def __init__(self, lab, tmp_path, operation):
        self.operation, self.folder = operation, tmp_path
        self.ann = lab.host("ann").daemon(arguments=["--no-discovery"])
        game = self.ann.games / "quake"
        game.mkdir()
        archive(game / "game.eti", "two")
        (game / "version.ini").write_text("20250101\n")
        self.ben = lab.host("ben").daemon(start=False, arguments=["--no-discovery"])
        self.template = tmp_path / "template"
        self.make_template()
        self.ann.wait_games(lambda games: games["quake"]["content"])
        self.old = self.new = None
        self.starts = []

    @property
    def game(self):
        return self.ben.games / "quake"

    def make_template(self):
        """A game of the old version, installed and played unless it is to be installed."""
        self.game.mkdir()
        archive(self.game / "game.eti", "one")
        (self.game / "version.ini").write_text("20240101\n")
        if self.operation != "install":
            self.ben.start()
            self.ben.wait_games(lambda games: games["quake"]["availability"] == "downloaded")
            self.ben.cli("install", "quake")
            user_files(self.game)
            self.ben.kill()
        run("cp", "-a", self.game, self.template)

    def prepare(self):
        shutil.rmtree(self.game)
        run("cp", "-a", self.template, self.game)
        (self.ben.state / "downloads.json").unlink(missing_ok=True)
        if self.operation != "update":
            self.ben.start()
            return
        self.ben.start("--peer", self.ann.address)
        self.ben.wait_games(lambda games: games["quake"]["latest_version"] == "20250101" and games["quake"]["sources"])

    def traced(self, *options):
        """The operation with a tracer on the daemon; True: the daemon, or its unpacker, was killed by it."""
        tracer = self.ben.host.lab.start(["strace", "-f", *options, "-p", self.ben.pid], stderr=subprocess.PIPE, text=True)
        assert "attached" in tracer.stderr.readline()
        command = self.ben.start_cli(self.operation, "quake")
        _, error = command.communicate(timeout=60)
        if re.search("peer (has )?stopped|no peer is running", error):
            self.ben.process.wait(60)
        else:  # it is over, or its unpacker was hit
            assert command.returncode == 0 or "was killed by signal 9" in error, error
            self.ben.kill()
        tracer.wait(60)
        return command.returncode != 0

    def undisturbed(self):
        """The states before and after, and every call that changes something: (name, which of its thread)."""
        self.old = without_dates(snapshot(self.template))
        self.prepare()
        log = self.folder / "log"
        assert not self.traced("-o", log, "-e", "trace=" + ",".join(CALLS))
        self.new = without_dates(snapshot(self.game))
        assert self.new != self.old
        seen, found = {}, []
        for line in log.read_text(errors="replace").splitlines():
            match = LINE.match(line)
            if not match or match[2] not in CALLS:
                continue
            key = match[1], match[2]
            seen[key] = seen.get(key, 0) + 1
            if match[2] != "openat2" or re.search("O_CREAT|O_WRONLY|O_RDWR|O_TRUNC", line):
                found.append((match[2], seen[key]))
        return found

    def kill_at(self, point):
        """True if it came to that point; checks what the next start makes of it."""
        self.prepare()
        name, number = point
        killed = self.traced("-o", "/dev/null", "-e", f"trace={name}", "-e", f"inject={name}:signal=SIGKILL:when={number}")
        self.ben.start()
        self.starts.append(time.monotonic() - self.ben.started)
        self.ben.wait_games(lambda games: games["quake"]["operation"] in ("none", "hashing") or games["quake"]["waiting"])
        state = without_dates(snapshot(self.game))
        assert state in (self.old, self.new), f"{self.operation} killed at {point}: a mix: " + str(
            {name for name in set(state) | set(self.new) if state.get(name) != self.new.get(name)})
        if self.operation != "install":
            contents = [entry[-1] for entry in state.values()]
            assert all(text in contents for text in USER_TEXTS), point
        self.ben.kill()
        return killed


def kill_at_random(lab, tmp_path, operation, count):
    if not shutil.which("strace"):
        pytest.skip("strace is not installed")
    victim = Victim(lab, tmp_path, operation)
    points = victim.undisturbed()
    chosen = random.Random(operation).sample(points, min(count, len(points)))
    hits = sum(victim.kill_at(point) for point in chosen)
    print(f"{operation}: {hits} kills at {len(chosen)} of {len(points)} calls of the daemon; the next start took "
          f"{sorted(victim.starts)[len(chosen) // 2]:.2f} s, at most {max(victim.starts):.2f} s")
    assert hits > len(chosen) // 2
    assert sorted(victim.starts)[len(chosen) // 2] < 1


OPERATIONS = pytest.mark.parametrize("operation", ["install", "update", "uninstall"])


@OPERATIONS
def test_a_daemon_killed_at_any_call_leaves_the_old_game_or_the_new_one(lab, tmp_path, operation):
    kill_at_random(lab, tmp_path, operation, 8)


@pytest.mark.soak
@OPERATIONS
def test_a_daemon_killed_at_a_hundred_calls_leaves_the_old_game_or_the_new_one(lab, tmp_path, operation):
    kill_at_random(lab, tmp_path, operation, 100)


# ---- No space -----------------------------------------------------------------------------------------

class Disk:
    """A small disk in memory with a file that fills it but for so many bytes."""

    def __init__(self, path, size):
        self.path = path
        path.mkdir()
        run("mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", path)

    def leave(self, left):
        (self.path / "ballast").unlink(missing_ok=True)
        room = os.statvfs(self.path)
        fill = room.f_bavail * room.f_frsize - left
        with open(self.path / "ballast", "wb") as file:
            os.posix_fallocate(file.fileno(), 0, fill)

    def make_room(self):
        (self.path / "ballast").unlink()

    def close(self):
        run("umount", "-l", self.path)


@pytest.fixture
def disk(tmp_path):
    made = Disk(tmp_path / "disk", 192 << 20)
    yield made
    made.close()


def refused_for_space(daemon, *command):
    """Both numbers, in bytes, that the error names."""
    result = daemon.run_cli(*command)
    assert result.returncode == 1, result.stdout
    assert result.stderr.count("\n") == 1
    numbers = [int(number) for number in re.findall(r"(\d+) bytes", result.stderr)]
    assert len(numbers) == 2 and numbers[0] > numbers[1], result.stderr
    return numbers


def test_space_is_asked_for_before_each_step_and_what_was_asked_for_is_enough(lab, tmp_path, disk):
    size, slack = 40 << 20, 1 << 20  # of names and tables, which no number can know
    make_file(tmp_path / "content", size, 5)
    ann = lab.host("ann").daemon()
    pack_file(ann.games / "quake/game.eti", tmp_path / "content")
    (ann.games / "quake/version.ini").write_text("1.0\n")
    ben = lab.host("ben").daemon(games=disk.path)
    ben.wait_games(lambda games: games["quake"]["sources"] == 1 and games["quake"]["content"])
    for command, state in (("get", "downloaded"), ("install", "installed")):
        disk.leave(size // 2)
        needed, free = refused_for_space(ben, command, "quake")
        assert size <= needed < size * 1.02 and free <= size // 2
        assert ben.list_games()["quake"]["operation"] == "none"
        assert not (disk.path / "quake/local").exists() and not (disk.path / "quake/version.ini").exists() or state != "downloaded"
        disk.leave(needed + slack)
        assert ben.cli(command, "quake")["game"]["availability"] == state
    (disk.path / "quake/local/save").write_text("forty hours")
    before = without_dates(snapshot(disk.path / "quake"))
    with open(ann.games / "quake/game.eti", "r+b") as file:
        file.seek(9 << 20)
        file.write(b"changed")
    (ann.games / "quake/version.ini").write_text("1.1\n")
    ben.wait_games(lambda games: games["quake"]["latest_version"] == "1.1" and games["quake"]["variants"] == 1)
    disk.leave(size // 2)  # not even the new archive has room
    received = ben.status()["received"]
    needed, free = refused_for_space(ben, "update", "quake")
    assert size <= needed < size * 1.02 and free <= size // 2
    assert ben.status()["received"] == received
    assert without_dates(snapshot(disk.path / "quake")) == before
    disk.leave(size * 3 // 2)  # the archive has, what comes out of it has not
    needed, _ = refused_for_space(ben, "update", "quake")
    assert without_dates(snapshot(disk.path / "quake")) == before
    received = ben.status()["received"]
    disk.leave(needed + slack)
    game = ben.cli("update", "quake")["game"]
    assert (game["local_version"], game["availability"]) == ("1.1", "installed")
    assert ben.status()["received"] - received < 1 << 20  # what was fetched was kept
    assert (disk.path / "quake/local/save").read_text() == "forty hours"
    assert tree(disk.path / "quake") == tree(ann.games / "quake")


def pack_file(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w") as tar:
        tar.add(content, "content.bin")


# ---- A disk that turns read-only -----------------------------------------------------------------------

def test_a_disk_that_turns_read_only_in_midst_of_an_install_is_told_and_it_works_later(lab, tmp_path):
    image, mounted = tmp_path / "image", tmp_path / "mounted"
    with open(image, "wb") as file:
        file.truncate(64 << 20)
    mounted.mkdir()
    run("mkfs.ext4", "-q", "-F", image)
    if subprocess.run(["mount", "-o", "loop", image, mounted], stderr=subprocess.DEVNULL, check=False).returncode:
        pytest.skip("no loop devices here")
    gate = Gate(tmp_path)
    try:
        ben = lab.host("ben").daemon(start=False, games=mounted / "games", arguments=["--unpacker", gate.command])
        lay(ben, "quake", {"data.txt": "one"})
        old = snapshot(ben.games / "quake")
        ben.start()
        ben.wait_games(lambda games: games["quake"]["content"])
        os.sync()
        waiting = ben.start_cli("install", "quake")
        ben.wait_event("install_begin")
        # As the kernel does when the medium fails.
        subprocess.run(["mount", "-o", "remount,abort", mounted], stderr=subprocess.DEVNULL, check=False)
        gate.open()
        _, error = waiting.communicate(timeout=30)
        assert waiting.returncode == 1 and error.count("\n") == 1
        assert re.search("read-only|Input/output|cannot", error, re.IGNORECASE), error
        assert ben.list_games()["quake"]["operation"] == "none"
        assert ben.stop()[0] == 0
        run("umount", mounted)
        subprocess.run(["fsck.ext4", "-y", image], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)
        run("mount", "-o", "loop", image, mounted)
        ben.start()
        ben.wait_games(lambda games: games["quake"]["availability"] == "downloaded")
        assert snapshot(ben.games / "quake") == old
        gate.open()
        assert ben.cli("install", "quake")["game"]["availability"] == "installed"
        ben.kill()
    finally:
        run("umount", "-l", mounted, check=False)


# ---- Archives that lie -----------------------------------------------------------------------------------

def hostile_tar(path, **changes):
    with tarfile.open(path, "w") as tar:
        info = tarfile.TarInfo("plain")
        for name, value in changes.items():
            setattr(info, name, value)
        info.size = 4 if info.isreg() else 0
        tar.addfile(info, io.BytesIO(b"text") if info.isreg() else None)


def forged_zip(path, name="a.txt", encrypted=False, cut=False):
    with zipfile.ZipFile(path, "w") as archived:
        archived.writestr(name, "text " * 200)
    data = bytearray(path.read_bytes())
    if encrypted:  # says so, in both places where a zip does
        data[6] |= 1
        data[data.index(b"PK\1\2") + 8] |= 1
    path.write_bytes(data[:len(data) // 2] if cut else data)


def greedy_xz(path):
    """A tar.xz whose header asks for a dictionary of 4 GiB."""
    plain = io.BytesIO()
    with tarfile.open(fileobj=plain, mode="w") as tar:
        tar.addfile(tarfile.TarInfo("empty"))
    data = bytearray(lzma.compress(plain.getvalue(), lzma.FORMAT_XZ))
    size = (data[12] + 1) * 4
    at = data.index(b"\x21\x01", 12, 12 + size) + 2  # the filter's id and the length of its properties
    data[at] = 40
    data[12 + size - 4:12 + size] = struct.pack("<I", zlib.crc32(bytes(data[12:12 + size - 4])))
    path.write_bytes(data)


HOSTILE = {  # what makes it, and what the error says
    "leads-up": (lambda path: forged_zip(path, "../../escaped"), "leads out"),
    "absolute": (lambda path: hostile_tar(path, name="/tmp/escaped"), "root"),
    "link-out": (lambda path: hostile_tar(path, type=tarfile.SYMTYPE, linkname="../../.."), "leads out"),
    "hard-link-out": (lambda path: hostile_tar(path, type=tarfile.LNKTYPE, linkname="../../version.ini"), "leads out"),
    "encrypted": (lambda path: forged_zip(path, encrypted=True), "encrypted"),
    "cut-off": (lambda path: forged_zip(path, cut=True), "game.eti"),
    "no-archive": (lambda path: path.write_bytes(b"nothing that anybody knows"), "no archive"),
    "greedy": (greedy_xz, "memory"),
}


def test_hostile_archives_are_refused_by_name_and_the_daemon_lives(lab):
    ben = lab.host("ben").daemon(start=False)
    for game, (make, _) in HOSTILE.items():
        (ben.games / game).mkdir()
        make(ben.games / game / "game.eti")
        (ben.games / game / "version.ini").write_text("1\n")
    lay(ben, "honest", {"data.txt": "one"})
    outside = sorted(path.name for path in ben.folder.iterdir())
    ben.start()
    ben.wait_games(lambda games: all(games[game]["availability"] == "downloaded" for game in [*HOSTILE, "honest"]))
    pid = ben.pid
    for game, (_, words) in HOSTILE.items():
        before = snapshot(ben.games / game)
        result = ben.run_cli("install", game)
        assert result.returncode == 1 and result.stderr.count("\n") == 1, game
        assert words in result.stderr, (game, result.stderr)
        assert snapshot(ben.games / game) == before
        assert not (ben.games / game / ".lanspread/install").exists()
    assert ben.cli("install", "honest")["game"]["availability"] == "installed"
    assert ben.process.poll() is None and ben.pid == pid
    assert set(path.name for path in ben.folder.iterdir()) - set(outside) <= {"control.sock", "control.sock.lock", "log", "state"}
    assert not os.path.exists("/tmp/escaped") and not list(ben.folder.rglob("escaped"))


def test_a_command_for_an_unpacker_fails_with_its_last_words(lab, tmp_path):
    command = tmp_path / "unpacker"
    command.write_text("#!/bin/sh\necho reading >&2\necho the disc is scratched >&2\nexit 3\n")
    command.chmod(0o755)
    ben = lab.host("ben").daemon(start=False, arguments=["--unpacker", command])
    lay(ben, "quake", {"data.txt": "one"})
    ben.start()
    ben.wait_games(lambda games: games["quake"]["availability"] == "downloaded")
    result = ben.run_cli("install", "quake")
    assert result.returncode == 1 and "the disc is scratched" in result.stderr
    assert ben.list_games()["quake"]["availability"] == "downloaded"


def test_several_archives_unpack_in_the_order_of_their_names(lab):
    ben = lab.host("ben").daemon(start=False)
    lay(ben, "quake", {"a.txt": "base", "b.txt": "base"})
    pack(ben.games / "quake/game-patch2.eti", {"a.txt": "second patch"})
    pack(ben.games / "quake/game-patch1.eti", {"a.txt": "first patch", "c.txt": "first patch"})
    ben.start()
    ben.wait_games(lambda games: games["quake"]["availability"] == "downloaded")
    ben.cli("install", "quake")
    local = ben.games / "quake/local"
    assert [(local / name).read_text() for name in ("a.txt", "b.txt", "c.txt")] == ["second patch", "base", "first patch"]
