"""What is chosen and what is set, by what others see of it: which blocks are asked for and in which turn, who is given
something, what is read from the disk, what is told."""

import json
import os
import pathlib
import re

import pytest

import bencode
from lanlab import PATIENCE, in_memory, make_file, wait_for
from test_torrent import (hear, make_torrent, needs_stranger, pytestmark, sent_blocks, share_game,  # noqa: F401
                          start_stranger, tell, torrent_address, torrent_peer, torrents_of, wait_listening,
                          wait_torrent)

PIECE, BLOCK = 32 << 10, 16 << 10  # bytes


# ---- What is fetched, in which turn, and what is told of it ---------------------------------------------------

def pieces_of(torrent, names):
    """The pieces in which these files have a byte; the torrent is a folder without folders."""
    info = bencode.decode(torrent.read_bytes())[b"info"]
    if b"files" in info:
        files = [(entry[b"path"][-1], entry[b"length"]) for entry in info[b"files"]]
    else:
        files = [(name, entry[b""][b"length"]) for name, entry in info[b"file tree"].items()]
    found, at = set(), 0
    for name, length in files:
        if name.decode() in names:
            found |= set(range(at // PIECE, (at + length - 1) // PIECE + 1))
        at += length
        if b"files" not in info:  # each begins with a piece of its own
            at = -(-at // PIECE) * PIECE
    return found


class Seeder:
    """A stranger that counts every block that it is asked for, and one that fetches from it."""

    def __init__(self, lab, folder):
        self.folder, host = folder, lab.host("eve")
        self.process, port = start_stranger(host)
        self.peer = f"{host.address}:{port}"
        self.ann = torrent_peer(lab.host("ann"), http="127.0.0.1:0")
        sent_blocks(self.process)

    def seed(self, name, kind, files):
        """A folder of files of these sizes: its torrent, and its id."""
        for number, (file, size) in enumerate(files.items()):
            make_file(self.folder / name / file, size, number)
        torrent = self.folder / f"{name}.torrent"
        made = make_torrent(self.folder / name, torrent, kind, PIECE)
        tell(self.process, add=str(torrent), into=str(self.folder), seed=True)
        return torrent, made["v2"] or made["v1"]

    def add(self, source, *settings):
        words = [f"save_path={self.ann.folder / 'into'}", *settings]
        self.ann.cli("torrent", "add", source, *(word for one in words for word in ("--set", one)))

    def dial(self, identity):
        self.ann.cli("torrent", "add_peers", identity, "--set", f'peers=["{self.peer}"]')

    def fetch(self, identity):
        """[piece, block] in the turn in which they were sent, until all that is wanted is there."""
        self.dial(identity)
        self.ann.wait_event("torrent_completed", torrent=identity, timeout=2 * PATIENCE)
        return sent_blocks(self.process)[identity[:40]]


def metrics_of(daemon):
    """{name: value} and {name: type} of the torrent engine's, without their prefix. Each has a word of help."""
    address, token = re.fullmatch(r"http://([^/]*)/\?token=(.*)", daemon.ready["page"]).groups()
    page = daemon.host.run("curl", "-sf", "-H", f"Authorization: Bearer {token}", f"http://{address}/metrics")
    values, types, helps = (dict(re.findall(rf"^{begin}lanspread_torrent_(\w+) (.+)$", page, re.MULTILINE))
                            for begin in ("", "# TYPE ", "# HELP "))
    assert set(values) == set(types) == set(helps)
    return values, types


# What a number is called in the metrics, where that is not its name in the status.
METRICS = {"sent": "sent_bytes_total", "received": "received_bytes_total", "read_back": "read_back_bytes_total",
           "upload_rate": "up_bytes_per_second", "download_rate": "down_bytes_per_second",
           **{name: f"{name}_total" for name in ("alerts", "alerts_dropped", "commands", "samples", "samples_coalesced",
                                                 "resume_saved", "resume_failed", "quarantined", "sessions")}}


@needs_stranger
def test_what_is_left_out_is_never_asked_for_nor_on_the_disk_and_all_is_told_and_counted(lab, tmp_path):
    seeder = Seeder(lab, tmp_path)
    ann, into, blocks = seeder.ann, seeder.ann.folder / "into", 0
    files = {"a.pak": 40 * BLOCK + 5 * BLOCK, "b.ogg": 31 * BLOCK, "c.pak": 10 * BLOCK, "d.ogg": 50 * BLOCK}
    left_out = {name for name in files if name.endswith(".ogg")}
    for name, kind in (("one", "v1"), ("two", "v2"), ("magnet", "v2")):
        torrent, identity = seeder.seed(name, kind, files)
        source = torrent if name != "magnet" else f"magnet:?xt=urn:btmh:1220{identity}"
        seeder.add(source, 'exclude=["*.ogg"]' if name == "one" else 'include=["*.pak"]', "storage=allocate")
        sent = seeder.fetch(identity)
        assert {piece for piece, _ in sent} == pieces_of(torrent, set(files) - left_out)
        blocks += len(sent)
        # Two files of a v1 torrent may share a piece: what is another's of that is kept aside.
        assert {path.name for path in (into / name).iterdir()} == set(files) - left_out
        if kind == "v2":
            assert len(sent) * BLOCK == sum(files[name] for name in set(files) - left_out)
            assert not (into / f".{identity[:40]}.parts").exists()
        for file in set(files) - left_out:
            assert (into / name / file).read_bytes() == (tmp_path / name / file).read_bytes()
        # What it has is told as soon as it is known.
        told = ann.wait_event("torrent_files", torrent=identity)["files"]
        assert {file["path"]: file["size"] for file in told} == files
    # Each number of the engine is in the metrics, in its unit and of its own kind.
    at_rest = {"received": blocks * BLOCK, "downloading": 0, "peers": 0, "download_rate": 0}
    wait_for(lambda: at_rest.items() <= ann.status()["torrent"].items(), what="all of it to be counted")
    status, (values, types) = ann.status()["torrent"], metrics_of(ann)
    numbers = {METRICS.get(name, name) for name, value in status.items() if isinstance(value, (bool, int))}
    assert numbers | {"healthy"} == set(values)
    assert {name: kind for name, kind in types.items()} == {
        name: "counter" if name.endswith("_total") else "gauge" for name in values}
    expected = {**at_rest, "torrents": 3, "failed": 0, "sent": 0, "upload_rate": 0, "healthy": 1, "sessions": 1,
                "port": status["port"], "alerts_dropped": 0, "resume_failed": 0, "restored": 0, "quarantined": 0,
                "session_open": 1}
    expected = {METRICS.get(name, name): str(value) for name, value in expected.items()}
    assert {name: values[name] for name in expected} == expected
    # They go on meanwhile.
    for name in ("alerts", "commands", "samples", "resume_saved"):
        assert 3 <= int(values[METRICS[name]])


@needs_stranger
def test_a_sequential_download_is_asked_for_in_order_and_another_is_not(lab, tmp_path):
    seeder = Seeder(lab, tmp_path)

    def farthest(name, *settings):
        """How far from its place in the file a piece was asked for, at most."""
        torrent, identity = seeder.seed(name, "v2", {"data": 256 * PIECE, "other": 1})
        seeder.add(torrent, *settings)
        if "paused=true" in settings:
            seeder.ann.cli("torrent", "sequential", identity, "true")
            seeder.ann.cli("torrent", "resume", identity)
        turn = list(dict.fromkeys(piece for piece, _ in seeder.fetch(identity)))
        assert sorted(turn) == list(range(257))
        return max(abs(piece - place) for place, piece in enumerate(turn))

    far = {"at first": farthest("one", "sequential=true"), "later": farthest("two", "paused=true"), "not": farthest("three")}
    print(far)
    assert far["at first"] <= 8 and far["later"] <= 8 and far["not"] > 64


# ---- What is read -----------------------------------------------------------------------------------------

def read_by(daemon):
    """Bytes that it read, from anywhere, by any call for that."""
    return int(re.search(r"rchar: (\d+)", pathlib.Path(f"/proc/{daemon.pid}/io").read_text())[1])


def forget(folder):
    """Has the kernel forget what it has of the files: whoever reads them, in whatever way, is seen by in_memory()."""
    for path in folder.rglob("*"):
        if path.is_file():
            with open(path, "rb") as file:
                os.fsync(file.fileno())
                os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def test_what_is_shared_is_not_read_and_as_a_hybrid_once(lab):
    ann, large = lab.host("ann").daemon(), 64 << 20
    content, file = share_game(ann, large=large), ann.games / "quake/data/large.bin"
    size = ann.list_games()["quake"]["size"]

    def nothing_is_read(read):
        assert read < large / 16
        assert in_memory(file) < large / 16 or not can_forget
        assert ann.cli("torrent", "inspect")["read_back"] == 0

    forget(ann.games)
    can_forget = in_memory(file) < large / 16  # what lies in memory alone cannot be forgotten
    before = read_by(ann)
    assert ann.cli("share", "quake")["id"] == content
    wait_torrent(ann, content, lambda torrent: torrent["state"] == "seeding")
    nothing_is_read(read_by(ann) - before)
    # Nor at the next start.
    ann.kill()
    forget(ann.games)
    ann.start()
    wait_listening(ann)
    wait_torrent(ann, content, lambda torrent: torrent["state"] == "seeding")
    nothing_is_read(read_by(ann))
    before = read_by(ann)
    hybrid = ann.cli("share", "quake", "--hybrid")["id"]
    wait_torrent(ann, hybrid, lambda torrent: torrent["state"] == "seeding")
    assert size <= read_by(ann) - before < 1.25 * size
    assert in_memory(file) > large / 16  # who reads is seen by what was asserted above, too
    last = ann.wait_event("torrent_create_progress", where=lambda event: event["done"] == event["total"])
    assert last["total"] == size


# ---- Who is given something -----------------------------------------------------------------------------------

OUTSIDE = "198.51.100"  # addresses for examples (RFC 5737): none of a LAN


@needs_stranger
@pytest.mark.parametrize("limit", ["unchoke_slots", "max_uploads"])
def test_there_are_so_many_slots_for_peers_from_outside_and_the_lan_needs_none(lab, tmp_path, limit):
    ann, host = torrent_peer(lab.host("ann")), lab.host("eve")
    for number, one in enumerate((ann.host, host), 1):
        one.run("ip", "addr", "add", f"{OUTSIDE}.{number}/24", "dev", "eth0")
    port = ann.status()["torrent"]["port"]
    ann.cli("torrent", "configure", "--set", f"unchoke_slots={1 if limit == 'unchoke_slots' else 16}")
    make_file(tmp_path / "disk.img", 16 << 20, 1)
    made = ann.cli("torrent", "create", tmp_path / "disk.img", "--output", tmp_path / "disk.torrent")
    identity = made["info_hash_v2"]
    ann.cli("torrent", "add", tmp_path / "disk.torrent", "--set", f"save_path={tmp_path}", "--set", "have=sample",
            "--set", f"max_uploads={1 if limit == 'max_uploads' else 0}")
    wait_torrent(ann, identity, lambda torrent: torrent["state"] == "seeding")
    for number in range(5):
        process, _ = start_stranger(host)
        (host.folder / f"into{number}").mkdir()
        address = ann.host.address if number >= 3 else f"{OUTSIDE}.1"
        tell(process, add=str(tmp_path / "disk.torrent"), into=str(host.folder / f"into{number}"),
             peers=[f"{address}:{port}"], limit_down=64 << 10)

    def peers():
        all_peers = ann.cli("torrent", "peers", identity)["peers"]
        outside = [peer for peer in all_peers if peer["address"].startswith(OUTSIDE)]
        return outside, [peer for peer in all_peers if peer not in outside]

    def given(some):
        return sum(peer["unchoked"] for peer in some)

    most = 0

    def is_going_on():
        nonlocal most
        outside, lan = peers()
        most = max(most, given(outside))
        return len(outside) == 3 and given(lan) == 2 and sum(peer["uploaded"] for peer in outside) > 4 * BLOCK

    ann.wait_until(is_going_on, 2 * PATIENCE, "something to be given to all who may have it")
    assert most == 1
    ann.cli("torrent", "configure", "--set", "unchoke_slots=16")
    ann.cli("torrent", "options", identity, "--set", "max_uploads=0")
    wait_for(lambda: given(peers()[0]) == 3, 60, "all of them to be given something")
