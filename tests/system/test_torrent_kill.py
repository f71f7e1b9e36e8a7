"""Moves and removals of torrents that are killed in the middle, with real sessions: the disk shows when that is."""

import contextlib
import subprocess
import time

import pytest

from lanlab import PATIENCE
from test_torrent import pytestmark, torrent_peer, torrents_of, wait_listening, wait_torrent  # noqa: F401
from test_torrent_store import SmallDisk

FOLDERS, EACH, SIZE = 10, 300, 900
HALF = f"many/d{FOLDERS // 2}"  # the library and we take files in the order of their paths
TRIES = 20  # to kill it in the middle: a loaded machine may let it come to its end first


@pytest.fixture
def ann(lab):
    return torrent_peer(lab.host("ann"))


def seed(daemon, folder):
    """A torrent of many files that is seeded from that folder; its id."""
    for one in range(FOLDERS):
        (folder / f"many/d{one}").mkdir(parents=True)
        for number in range(EACH):
            (folder / f"many/d{one}/f{number:03}").write_bytes(f"{one} {number} ".encode() * (SIZE // 6))
    made = daemon.cli("torrent", "create", folder / "many", "--output", daemon.folder / "many.torrent")
    daemon.cli("torrent", "add", daemon.folder / "many.torrent", "--set", f"save_path={folder}", "--set", "have=all")
    identity = made["info_hash_v2"]
    wait_torrent(daemon, identity, lambda t: t["state"] == "seeding")
    return identity


def contents(folder):
    """Of all files below it, by path; whatever is there."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def begin(daemon, condition, *command):
    """A command that goes on, as soon as the disk shows that it is at it; or has come to its end."""
    caller = daemon.start_cli(*command)
    deadline = time.monotonic() + PATIENCE
    while not condition() and caller.poll() is None:
        assert time.monotonic() < deadline, "nothing happens to the files"
    return caller


def kill_at(daemon, condition, *command):
    """The same, and it is killed then."""
    caller = begin(daemon, condition, *command)
    daemon.kill()
    caller.wait()


def start(daemon):
    daemon.start()
    wait_listening(daemon)


def expect_whole(daemon, identity, old, new, before):
    """It is seeded from the new place, all of it, and nothing was read to be hashed."""
    torrent = wait_torrent(daemon, identity, lambda t: t["state"] == "seeding")
    assert torrent["save_path"] == str(new) and torrent["done"] == torrent["total"]
    assert contents(new) == before and contents(old) == {} and not (old / "many").exists()
    status = daemon.status()
    assert status["torrent"]["read_back"] == 0 and status["torrent"]["health"]["state"] == "ok"


def kill_in_the_middle(daemon, identity, old, new, before, is_middle):
    """Kills it while it moves, and starts it again: how it then is is right, whenever that was."""
    for _ in range(TRIES):
        kill_at(daemon, (new / HALF).exists, "torrent", "move", identity, new)
        was_middle = is_middle()
        start(daemon)
        expect_whole(daemon, identity, old, new, before)
        if was_middle:
            return
        daemon.cli("torrent", "move", identity, old)
    pytest.fail("it was never in the middle")


def test_a_move_that_is_killed_is_finished_and_can_be_repeated(ann):
    old, new = ann.folder / "old", ann.folder / "new"
    identity = seed(ann, old)
    before = contents(old)
    kill_in_the_middle(ann, identity, old, new, before,
                       lambda: contents(old) and contents(new) and contents(old) | contents(new) == before)
    ann.cli("torrent", "move", identity, new)  # where it is
    ann.cli("torrent", "move", identity, old)
    expect_whole(ann, identity, new, old, before)


def test_a_move_to_another_disk_that_is_killed_is_finished(ann):
    old = ann.folder / "old"
    identity = seed(ann, old)
    before = contents(old)
    with SmallDisk(ann.folder / "disk", "64m") as disk:
        kill_in_the_middle(ann, identity, old, disk.folder / "new", before,
                           lambda: contents(old) == before and len(contents(disk.folder / "new")) < len(before))
        ann.stop()


def test_a_move_that_cannot_be_leaves_all_as_it_was_and_says_why(ann):
    old = ann.folder / "old"
    identity = seed(ann, old)
    before = contents(old)
    with SmallDisk(ann.folder / "disk", "4m") as disk:
        refused = ann.run_cli("torrent", "move", identity, disk.folder / "new")
        assert refused.returncode and "No space left" in refused.stderr
        expect_whole(ann, identity, disk.folder / "new", old, before)
    other = ann.folder / "other/many/d5/f100"
    other.parent.mkdir(parents=True)
    other.write_text("somebody's")
    refused = ann.run_cli("torrent", "move", identity, ann.folder / "other")
    assert refused.returncode and f"{other} is there already" in refused.stderr
    assert other.read_text() == "somebody's"
    other.unlink()
    refused = ann.run_cli("torrent", "move", identity, ann.games / "quake")
    assert refused.returncode and "games folder" in refused.stderr
    expect_whole(ann, identity, ann.games / "quake", old, before)


def test_a_removal_with_its_data_that_is_killed_is_finished(ann):
    old = ann.folder / "old"
    for _ in range(TRIES):
        identity = seed(ann, old)
        kill_at(ann, lambda: not (old / HALF / "f000").exists(), "torrent", "remove", identity, "--data")
        was_middle = len(contents(old)) > 0
        start(ann)
        ann.wait_until(lambda: not (old / "many").exists(), what="the rest to be deleted")
        ann.wait_until(lambda: not list((ann.state / "torrent").glob(f"{identity}*")), what="it to be forgotten")
        assert identity not in torrents_of(ann) and ann.status()["torrent"]["health"]["state"] == "ok"
        if was_middle:
            return
    pytest.fail("it was never in the middle")


@contextlib.contextmanager
def mounted(disk, folder):
    """The disk at a folder; what is on it stays when it is there no more."""
    subprocess.run(["mount", "--bind", disk, folder], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", folder], check=True)


def expect_wait(daemon, identity, place, disk):
    """It waits for its disk, says so, and neither writes below it nor takes its files for deleted."""
    before = contents(disk)
    start(daemon)
    daemon.wait_until(lambda: daemon.status()["torrent"]["health"]["degraded"] == ["storage"], what="it to wait")
    refused = daemon.run_cli("torrent", "pause", identity)
    assert refused.returncode and f"the disk of {place} is not there" in refused.stderr
    assert contents(place) == {} and contents(disk) == before
    daemon.kill()


def test_a_disk_that_is_not_mounted_is_waited_for(ann):
    old, place = ann.folder / "old", ann.folder / "place"
    place.mkdir()
    identity = seed(ann, old)
    before = contents(old)
    with SmallDisk(ann.folder / "disk", "64m") as disk:
        for _ in range(TRIES):
            with mounted(disk.folder, place):
                kill_at(ann, (place / HALF).exists, "torrent", "move", identity, place)
            if was_middle := contents(old) == before:
                expect_wait(ann, identity, place, disk.folder)
            with mounted(disk.folder, place):
                start(ann)
                expect_whole(ann, identity, old, place, before)
                if not was_middle:
                    ann.cli("torrent", "move", identity, old)
                    continue
                kill_at(ann, lambda: not (place / "many/d0/f000").exists(), "torrent", "remove", identity, "--data")
            if contents(disk.folder):
                expect_wait(ann, identity, place, disk.folder)
            with mounted(disk.folder, place):
                start(ann)
                ann.wait_until(lambda: not list((ann.state / "torrent").glob(f"{identity}*")), what="it to be forgotten")
                assert contents(place) == {}
                ann.stop()
            return
    pytest.fail("it was never in the middle")


def test_what_cannot_be_deleted_at_the_old_place_stays_there_and_is_told(ann):
    old = ann.folder / "old"
    identity = seed(ann, old)
    before = contents(old)
    with SmallDisk(ann.folder / "disk", "64m") as disk:
        new = disk.folder / "new"
        with mounted(old, old):
            subprocess.run(["mount", "-o", "remount,bind,ro", old], check=True)
            lines = ann.run_cli("torrent", "move", identity, new).stdout.splitlines()
            told = ann.wait_event("torrent_error", torrent=identity)
            assert lines[1:] == [told["message"]]
            assert f"not all of it could be deleted from {old}" in told["message"] and told["component"] == "storage"

        def changes():
            return max(path.stat().st_ctime_ns for path in new.rglob("*"))

        since = changes()
        for _ in range(2):
            torrent = wait_torrent(ann, identity, lambda t: t["state"] == "seeding")
            assert torrent["save_path"] == str(new) and torrent["done"] == torrent["total"]
            assert ann.status()["torrent"]["read_back"] == 0
            ann.restart()
            wait_listening(ann)
        # The library has not put the old ones over the new ones.
        assert contents(old) == contents(new) == before and changes() == since
        ann.stop()


def test_one_whose_move_cannot_be_finished_is_removed_from_both_places(ann):
    old = ann.folder / "old"
    identity = seed(ann, old)
    before = contents(old)
    with SmallDisk(ann.folder / "disk", "64m") as disk:
        new = disk.folder / "new"
        for _ in range(TRIES):
            kill_at(ann, (new / HALF).exists, "torrent", "move", identity, new)
            was_middle = contents(old) == before and not (new / "many/d9/f299").exists()
            if was_middle:
                (new / "many/d9").mkdir(exist_ok=True)
                (new / "many/d9/f299").write_text("somebody's")
            start(ann)
            if was_middle:
                break
            expect_whole(ann, identity, old, new, before)
            ann.cli("torrent", "move", identity, old)
        ann.wait_until(lambda: ann.status()["torrent"]["health"]["degraded"] == ["storage"], what="it to wait")
        assert ann.run_cli("torrent", "remove", identity, "--data").stdout == "removed\n"
        assert contents(old) == {} and contents(new) == {"many/d9/f299": b"somebody's"}
        assert torrents_of(ann) == {} and ann.status()["torrent"]["health"]["state"] == "ok"
        assert not list((ann.state / "torrent").glob(f"{identity}*"))
        ann.stop()


def test_a_removal_with_its_data_ends_a_move(ann):
    old = ann.folder / "old"
    identity = seed(ann, old)
    with SmallDisk(ann.folder / "disk", "64m") as disk:
        caller = begin(ann, (disk.folder / "new" / HALF).exists, "torrent", "move", identity, disk.folder / "new")
        ann.cli("torrent", "remove", identity, "--data")
        caller.wait()
        assert contents(old) == {} and contents(disk.folder / "new") == {}
        assert torrents_of(ann) == {} and not list((ann.state / "torrent").iterdir())
