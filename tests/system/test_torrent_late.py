"""Games that come by torrents of strangers whose content is known only once all of it is here, and what was asked of
torrents that become games."""

import json
import re
import shutil
import subprocess

import pytest

from lanlab import tree
from test_torrent import (dial_until, is_here, make_game, make_torrent, needs_stranger, pytestmark,  # noqa: F401
                          sent_blocks, share_game, start_stranger, tell, torrent_peer, torrents_of, wait_listening,
                          wait_torrent)
from test_torrent_store import Kept, SmallDisk
from test_torrent_wrong import MAGNET, refused, torrent

LARGE = 3 << 20  # bytes of the game's large file


class Doom:
    """A game that a stranger seeds by a v1 torrent."""

    def __init__(self, lab, folder, kind="v1", piece_length=0, version="1.0"):
        self.folder, self.file, host = folder / "doom", folder / "doom.torrent", lab.host("eve")
        make_game(self.folder, version, large=LARGE)
        made = make_torrent(self.folder, self.file, kind, piece_length)
        self.id = made["v2"] or made["v1"]
        self.process, port = start_stranger(host)
        tell(self.process, add=str(self.file), into=str(folder), seed=True)
        self.peer = f"{host.address}:{port}"
        sent_blocks(self.process)

    def add(self, daemon, *sets, source=None):
        return daemon.cli("torrent", "add", source or self.file, "--as-game", *self.words(*sets))

    def words(self, *sets):
        return [word for one in (f'peers=["{self.peer}"]', *sets) for word in ("--set", one)]

    def arrives(self, daemon):
        dial_until(daemon, self.id, self.peer, lambda: is_here(daemon, "doom"), "the game to be here")
        assert tree(daemon.games / "doom") == tree(self.folder)


def operation_of(daemon, game):
    return daemon.list_games().get(game, {}).get("operation", "none")


def operation(daemon):
    return operation_of(daemon, "doom")


def some_of_it(daemon, identity):
    return wait_torrent(daemon, identity, lambda torrent: torrent["done"] > LARGE // 4)


# ---- What stands still, and goes on ------------------------------------------------------------------------

@needs_stranger
def test_a_full_disk_ends_the_download_with_one_line_and_get_goes_on_with_it(lab, tmp_path):
    ann, doom = lab.host("ann").daemon(start=False, arguments=["--swarm", "lan"]), Doom(lab, tmp_path)
    with SmallDisk(ann.games) as disk:
        ann.start()
        wait_listening(ann)
        doom.add(ann)
        waited = ann.run_cli("get", "doom")
        assert waited.returncode == 1 and waited.stderr.count("\n") == 1
        assert "no space to download doom" in waited.stderr and "lanspread get doom" in waited.stderr
        assert operation(ann) == "none" and torrents_of(ann)[doom.id]["state"] in ("failed", "paused")
        subprocess.run(["mount", "-o", "remount,size=64m", disk.folder], check=True)
        ann.cli("get", "doom")
        assert tree(ann.games / "doom") == tree(doom.folder)
        ann.kill()


@needs_stranger
def test_what_is_cancelled_is_kept_and_goes_on_without_a_block_again(lab, tmp_path):
    ann, doom = torrent_peer(lab.host("ann")), Doom(lab, tmp_path)
    doom.add(ann, "max_download=1M")
    some_of_it(ann, doom.id)
    ann.cli("cancel", "doom")
    ann.wait_event("download_failed", game="doom", where=lambda event: event["error"]["code"] == "cancelled")
    wait_torrent(ann, doom.id, lambda torrent: torrent["state"] == "paused")
    ann.restart()
    wait_listening(ann)
    wait_torrent(ann, doom.id, lambda torrent: torrent["state"] == "paused")
    verified = Kept(ann, doom.id).pieces
    sent_blocks(doom.process)
    assert operation(ann) == "none"
    ann.cli("torrent", "limits", doom.id, "--set", "max_download=0")
    ann.cli("get", "doom", "--no-wait")
    doom.arrives(ann)
    assert verified and not verified & {piece for piece, _ in sent_blocks(doom.process)[doom.id]}


@needs_stranger
def test_it_is_paused_and_resumed_as_a_game_and_as_a_torrent(lab, tmp_path):
    ann, doom = torrent_peer(lab.host("ann")), Doom(lab, tmp_path)
    doom.add(ann, "paused=true", "max_download=1M")
    assert ann.list_games()["doom"]["paused"] and operation(ann) == "downloading"
    ann.restart()
    wait_listening(ann)
    wait_torrent(ann, doom.id, lambda torrent: torrent["state"] == "paused")
    assert ann.list_games()["doom"]["paused"] and not sent_blocks(doom.process).get(doom.id)
    ann.cli("resume", "doom")
    some_of_it(ann, doom.id)
    ann.cli("torrent", "pause", doom.id)
    ann.wait_games(lambda games: games["doom"]["paused"])
    ann.cli("torrent", "resume", doom.id)
    ann.wait_games(lambda games: not games["doom"]["paused"])
    ann.cli("torrent", "limits", doom.id, "--set", "max_download=0")
    doom.arrives(ann)


# ---- The other engine ---------------------------------------------------------------------------------------

@needs_stranger
def test_it_goes_on_by_the_lan_with_what_is_right_in_it(lab, tmp_path):
    ann, ben = torrent_peer(lab.host("ann")), torrent_peer(lab.host("ben"))
    doom = Doom(lab, tmp_path)
    shutil.copytree(doom.folder, ben.games / "doom")
    ben.wait_games(lambda games: games["doom"]["content"])
    ann.wait_games(lambda games: games["doom"]["sources"] == 1 and games["doom"]["content"])
    doom.add(ann, "max_download=1M", "sequential=true")
    wait_torrent(ann, doom.id, lambda torrent: torrent["done"] > LARGE // 2)
    ann.cli("get", "doom", "--engine", "lan")
    assert tree(ann.games / "doom") == tree(doom.folder)
    found = re.search(r"doom is fetched by the lan engine: (\d+) of (\d+)", ann.log.read_text(errors="replace"))
    verified, total = int(found[1]), int(found[2])
    assert verified > LARGE // 4 and ann.status()["received"] == total - verified
    ann.wait_until(lambda: doom.id not in torrents_of(ann), what="its torrent to be forgotten")
    ann.restart()
    wait_listening(ann)
    assert doom.id not in torrents_of(ann) and is_here(ann, "doom")


# ---- What was asked of it -----------------------------------------------------------------------------------

OPTIONS = {"max_upload": 1_000_000, "category": "party", "trackers": ["http://127.0.0.1:9/announce"]}
SETS = ["max_upload=1M", "category=party", "trackers=http://127.0.0.1:9/announce"]


def options_of(daemon, identity):
    known = torrents_of(daemon)[identity]
    trackers = [one["url"] for one in daemon.cli("torrent", "trackers", identity)["trackers"]]
    return {**{key: known[key] for key in ("max_upload", "max_download", "category")}, "trackers": trackers}


@needs_stranger
@pytest.mark.parametrize("kind, piece_length, by_magnet", [("v1", 0, False), ("v2", 0, False), ("v2", 0, True),
                                                           ("v2", 16 << 20, True)])
def test_what_was_asked_of_it_holds_from_the_link_to_the_seeding(lab, tmp_path, kind, piece_length, by_magnet):
    """Also when it is restarted in between, and what was set of it meanwhile. The peer that gives it is one of the
    options."""
    ann, doom = lab.host("ann").daemon(), Doom(lab, tmp_path, kind, piece_length)
    ann.cli("torrent", "configure", "--set", "lsd=false")
    source = f"magnet:?xt=urn:btmh:1220{doom.id}&dn=doom" if by_magnet else None
    doom.add(ann, *SETS, "paused=true", "max_download=1M", "game=doom2", source=source)
    # As a download that is known at once it has no torrent while it is paused.
    is_torrent = by_magnet or kind == "v1"
    expected = {**OPTIONS, **({"max_download": 0, "category": "hall"} if is_torrent else {"max_download": 1_000_000})}
    if is_torrent:
        ann.cli("torrent", "limits", doom.id, "--set", "max_download=0")
        ann.cli("torrent", "options", doom.id, "--set", "category=hall")
    ann.restart()
    if by_magnet:
        wait_torrent(ann, doom.id, lambda torrent: torrent["paused"])
        ann.cli("torrent", "resume", doom.id)
    else:
        ann.wait_games(lambda games: games["doom2"]["paused"])
        ann.cli("get", "doom2", "--no-wait")
    dial_until(ann, doom.id, doom.peer, lambda: is_here(ann, "doom2"), "the game to be here")
    for _ in range(2):
        ann.wait_until(lambda: ann.status()["torrent"], what="the engine")
        wait_torrent(ann, doom.id, lambda torrent: torrent["state"] == "seeding")
        assert options_of(ann, doom.id) == expected and torrents_of(ann)[doom.id]["save_path"] == str(ann.games)
        ann.restart()


def test_what_no_game_can_have_is_refused_with_the_reason(lab, tmp_path):
    ann = torrent_peer(lab.host("ann"))
    (tmp_path / "doom.torrent").write_bytes(torrent(name=b"doom", files=[[b"maps.pak"]]))
    for option, why in (("exclude=*.ini", "whole"), ("save_path=/tmp", "games folder"), ("have=all", "found"),
                        ("seed_remove_data=true", "lanspread remove"), ("name=x", "id"), ("storage=sparse", "lays out"),
                        ("max_download=99999999999", "2147483647"), ("trackers=foo", "udp://"), ("peers=foo", "address")):
        for source in (tmp_path / "doom.torrent", MAGNET):
            assert why in refused(ann, "torrent", "add", source, "--as-game", "--set", option), option
    assert not torrents_of(ann) and operation_of(ann, "doom") == "none"


@needs_stranger
def test_a_version_that_cannot_be_read_is_the_games_problem_and_nothing_is_lost(lab, tmp_path):
    """What its size and names tell is told at once (unit/peer/torrent_check.c); what is in it, when it is here."""
    ann, doom = torrent_peer(lab.host("ann")), Doom(lab, tmp_path, version="\x00\x1b[2J\nno version")
    doom.add(ann)
    dial_until(ann, doom.id, doom.peer, lambda: ann.list_games()["doom"]["availability"] == "downloaded",
               "the game to be here")
    game = ann.wait_games(lambda games: games["doom"]["problem"] and games["doom"]["operation"] == "none")["doom"]
    assert "version.ini holds a NUL byte" in game["problem"] and game["content"] is None
    assert tree(ann.games / "doom") == tree(doom.folder) and doom.id not in torrents_of(ann)


def test_a_game_that_was_committed_when_it_was_killed_is_no_download_any_more(lab):
    """The record was to go next; the folder is hashed first, and nobody is here who could give the manifest."""
    ann = torrent_peer(lab.host("ann"))
    content = share_game(ann, "doom", large=1 << 16)
    ann.stop()
    (ann.games / "doom/version.ini").touch()
    record = {"purpose": "download", "content": content, "engine": "swarm", "paused": False, "newer_than": ""}
    records = ann.state / "downloads.json"
    records.write_text(json.dumps({"doom": record}))
    ann.start()
    ann.wait_event("download_finished", game="doom")
    ann.wait_games(lambda games: games["doom"]["operation"] == "none" and games["doom"]["content"] == content)
    ann.wait_until(lambda: json.loads(records.read_text()) == {}, what="its record to go")


# ---- What is not there, and must not be --------------------------------------------------------------------

@needs_stranger
def test_a_magnet_does_not_take_a_game_that_is_here(lab, tmp_path):
    """Neither when its metadata come, nor when all of it has."""
    ann, doom = torrent_peer(lab.host("ann")), Doom(lab, tmp_path, "v2", 16 << 20)
    share_game(ann, "doom", large=1 << 16)
    before = tree(ann.games / "doom")
    doom.add(ann, source=f"magnet:?xt=urn:btmh:1220{doom.id}&dn=doom")
    dial_until(ann, doom.id, doom.peer, lambda: doom.id not in torrents_of(ann), "it to be refused")
    ann.wait_log("there is a game \"doom\" here with another content")
    assert tree(ann.games / "doom") == before and not sent_blocks(doom.process).get(doom.id)


@needs_stranger
def test_with_the_setting_off_a_game_that_was_removed_does_not_start_the_engine(lab, tmp_path):
    ann, doom = lab.host("ann").daemon(), Doom(lab, tmp_path)
    doom.add(ann)
    doom.arrives(ann)
    ann.restart()
    ann.wait_until(lambda: doom.id in (ann.status()["torrent"] and torrents_of(ann) or {}), what="it to be seeded again")
    ann.cli("remove", "doom")
    ann.restart()
    ann.wait_games(lambda games: games["doom"]["operation"] == "none")
    assert ann.status()["torrent"] is None
    assert ann.cli("get", "doom", "--no-wait")["operation"] == "downloading"  # from where it came
    dial_until(ann, doom.id, doom.peer, lambda: is_here(ann, "doom"), "the game to be here again")
