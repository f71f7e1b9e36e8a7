"""What the torrent engine may not do to the games, by whatever name it is told, and what outlasts a session of it."""

import pytest

from lanlab import Lab, make_tree, tree, wait_for
from outside import bencode
from test_torrent import (hear, make_game, needs_stranger, pytestmark, share_game, start_stranger, tell,  # noqa: F401
                          torrent_address, torrent_peer, torrents_of, wait_listening, wait_torrent)
from test_torrent_wrong import MAGNET, refused, torrent


@pytest.fixture
def ann():
    with Lab(namespaces=False) as lab:
        yield torrent_peer(lab.host("ann"), "--no-discovery")


# ---- Names --------------------------------------------------------------------------------------------

def test_a_game_is_spared_by_every_name_of_its_torrent(ann, tmp_path):
    share_game(ann, large=1 << 16)
    shared = ann.cli("share", "quake", "--hybrid")
    one = wait_torrent(ann, shared["id"], lambda torrent: torrent["state"] == "seeding")
    v1, v2, before = one["info_hash_v1"], one["info_hash_v2"], tree(ann.games / "quake")
    for name in (one["id"], v1, v1.upper(), v1[:10], v2, v2.upper(), v2[:40], v2[:40].upper()):
        for words in (("remove", name, "--data"), ("move", name, tmp_path / "into"),
                      ("options", name, "--set", "seed_remove_data=true"), ("recheck", name)):
            assert "its files are those of the game quake" in refused(ann, "torrent", *words), words
    assert tree(ann.games / "quake") == before and not (tmp_path / "into").exists()
    assert wait_torrent(ann, one["id"], lambda torrent: torrent["state"] == "seeding")
    # What nobody knows is no way around that.
    assert "there is no torrent" in refused(ann, "torrent", "remove", v1[::-1], "--data")


def test_what_was_removed_by_its_v1_hash_is_not_seeded_again(ann):
    content = share_game(ann, large=1 << 16)
    shared = ann.cli("share", "quake", "--hybrid")
    one = wait_torrent(ann, shared["id"], lambda torrent: torrent["state"] == "seeding")
    kept = ann.state / "torrents"
    assert (kept / f"{shared['id']}.torrent").exists()
    assert ann.run_cli("torrent", "remove", one["info_hash_v1"]).stdout == "removed\n"
    assert not (kept / f"{shared['id']}.torrent").exists()
    (kept / f"{64 * 'a'}.torrent").write_bytes(b"what a kill left")
    ann.restart()
    assert not list(kept.glob("*.torrent"))
    wait_listening(ann)
    wait_torrent(ann, content, lambda torrent: torrent["state"] == "seeding")
    assert shared["id"] not in torrents_of(ann)
    assert "quake" in ann.list_games()


def test_the_torrent_that_a_game_comes_by_is_spared(ann, tmp_path):
    (tmp_path / "doom.torrent").write_bytes(torrent(name=b"doom", files=[[b"maps.pak"]]))
    ann.cli("torrent", "add", tmp_path / "doom.torrent", "--as-game")
    ann.wait_until(lambda: torrents_of(ann), what="its torrent")
    one = next(iter(torrents_of(ann)))
    for words in (("remove", one), ("remove", one[:8], "--data"), ("move", one, tmp_path / "into"),
                  ("select", one, "--set", "exclude=*")):
        assert "it is the download of doom" in refused(ann, "torrent", *words), words
    # What was cancelled is kept, as of every download; what ends it takes its files along.
    assert "what was verified is kept" in ann.run_cli("cancel", "doom").stdout
    wait_torrent(ann, one, lambda torrent: torrent["state"] == "paused")
    for words in (("move", one, tmp_path / "into"), ("select", one, "--set", "exclude=*")):
        assert "lanspread get doom" in refused(ann, "torrent", *words), words
    ann.cli("remove", "doom")
    assert not torrents_of(ann) and not (ann.games / "doom").exists() and "doom" not in ann.list_games()


# ---- Places -------------------------------------------------------------------------------------------

def test_no_torrent_gets_into_the_games_folder(ann, tmp_path):
    things, made = make_tree(tmp_path / "things", large=1 << 16, small=2), tmp_path / "things.torrent"
    ann.cli("torrent", "create", things, "--output", made)
    (tmp_path / "link").symlink_to(ann.games)
    before, games = sorted(ann.games.rglob("*")), ann.games
    ways = [games, games / "new", f"{tmp_path}/nowhere/../../../../../../../..{games}", f"//{games}/.",
            tmp_path / "link", tmp_path / "link/new"]
    for way in ways:
        for source in (made, MAGNET):
            assert "into the games folder" in refused(ann, "torrent", "add", source, "--set", f"save_path={way}")
    assert not torrents_of(ann)
    one = ann.cli("torrent", "add", made, "--set", f"save_path={tmp_path}", "--set", "have=sample")["id"]
    wait_torrent(ann, one, lambda torrent: torrent["state"] == "seeding")
    for way in ways:
        assert "into the games folder" in refused(ann, "torrent", "move", one[:12], way)
    assert "too long" in refused(ann, "torrent", "move", one, "/" + "x" * 9000)
    assert sorted(ann.games.rglob("*")) == before
    # Elsewhere is elsewhere, a folder beside with a name like it too.
    beside = games.with_name(games.name + "-2")
    # A link to what is not there yet, and a stranger's torrent that is called as the games folder is.
    (tmp_path / "later").symlink_to(games / "later")
    assert "into the games folder" in refused(ann, "torrent", "move", one, tmp_path / "later")
    named, trap = make_tree(tmp_path / "trap" / games.name, large=1 << 16, small=2), tmp_path / "trap.torrent"
    ann.cli("torrent", "create", named, "--output", trap)
    assert "into the games folder" in refused(ann, "torrent", "add", trap, "--set", f"save_path={games.parent}")
    # A magnet says what it is called when it is too late.
    for above in (games.parent, games.parent.parent, "/"):
        assert "into the games folder" in refused(ann, "torrent", "add", MAGNET, "--set", f"save_path={above}")
    for name in (f"/{games.name}", f"{games.name}\u202e", games.name[:2] + "\u202d" + games.name[2:], games.name.upper()):
        for key in ("name", "name.utf-8"):
            info = {"name": "harmless", "piece length": 16384, "pieces": bytes(20), "length": 5, key: name}
            (tmp_path / "named.torrent").write_bytes(bencode({"info": info}))
            assert "into the games folder" in refused(ann, "torrent", "add", tmp_path / "named.torrent",
                                                      "--set", f"save_path={games.parent}"), name
    two = ann.cli("torrent", "add", trap, "--set", f"save_path={named.parent}", "--set", "have=all")["id"]
    wait_torrent(ann, two, lambda torrent: torrent["state"] == "seeding")
    assert "into the games folder" in refused(ann, "torrent", "move", two, games.parent)
    assert sorted(ann.games.rglob("*")) == before
    ann.cli("torrent", "move", one, beside)
    assert tree(beside / "things") and not things.exists()


def test_a_torrent_whose_place_becomes_the_games_folder_is_held(lab, tmp_path):
    ann, library, made = torrent_peer(lab.host("ann"), "--no-discovery"), tmp_path / "library", tmp_path / "doom.torrent"
    identity = ann.cli("torrent", "create", make_game(library / "doom", large=1 << 18), "--output", made)["info_hash_v2"]
    ann.cli("torrent", "add", made, "--set", f"save_path={library}", "--set", "have=sample")
    wait_torrent(ann, identity, lambda torrent: torrent["state"] == "seeding")
    ann.stop()
    ann.games = library
    # As an update leaves it: what the torrent would undo.
    (library / "doom/version.ini").write_text("2.0\n")
    ann.start()
    wait_listening(ann)
    ann.wait_games(lambda games: games["doom"]["content"])
    wait_torrent(ann, identity, lambda torrent: torrent["state"] == "paused")
    before = tree(library)
    for words in (["resume"], ["recheck"], ["remove", "--data"], ["options", "--set", "seed_remove_data=true"]):
        assert "in the games folder by now" in refused(ann, "torrent", words[0], identity, *words[1:]), words
    # Out of there it may go, and goes on; with it the game that it was there.
    ann.cli("torrent", "move", identity, tmp_path / "out")
    assert not (library / "doom").exists() and tree(tmp_path / "out") == before
    ann.wait_games(lambda games: "doom" not in games or games["doom"]["availability"] == "unavailable")
    ann.cli("torrent", "resume", identity)
    wait_torrent(ann, identity, lambda torrent: torrent["state"] != "paused")
    assert "into the games folder" in refused(ann, "torrent", "move", identity, library)
    ann.cli("torrent", "remove", identity)
    assert tree(tmp_path / "out") == before


# ---- Limits -------------------------------------------------------------------------------------------

def upload_limit(daemon):
    return daemon.cli("torrent", "inspect")["settings"]["upload_rate_limit"]


@pytest.fixture
def free():
    """One whose mode is not fixed by a flag."""
    with Lab(namespaces=False) as lab:
        yield lab.host("ann").daemon(arguments=["--no-discovery"])


def test_limits_outlast_what_is_configured(free):
    ann = free
    ann.cli("config", "swarm", "lan")
    ann.cli("limits", "--up", "2M")
    limit = ann.status()["limits"]["up"]
    ann.wait_until(lambda: upload_limit(ann) == limit > 0, what="the limit to be told")
    # Each is in effect when it is answered: what the limit is then, it stays.
    ann.cli("torrent", "configure", "--set", "max_connections=77")
    assert upload_limit(ann) == limit
    ann.cli("config", "swarm", "off")
    ann.wait_until(lambda: ann.cli("torrent", "inspect")["configuration"].get("mode") == "off",
                   what="the other mode to be told")
    assert upload_limit(ann) == limit
    ann.cli("torrent", "configure", "--set", "max_upload=4096")
    assert upload_limit(ann) == 4096
    ann.cli("torrent", "configure", "--set", "max_upload=0")
    assert upload_limit(ann) == limit
    # Those of all torrents are one more place, the lowest holds, and a restart keeps them.
    assert ann.cli("torrent", "limits", "--set", "max_upload=3000") == {"max_upload": 3000, "max_download": 0}
    assert upload_limit(ann) == 3000
    ann.cli("limits", "--up", "1M")
    ann.cli("torrent", "configure", "--set", "max_connections=78")
    assert upload_limit(ann) == 3000
    ann.restart()
    assert upload_limit(ann) == 3000 == ann.cli("torrent", "limits")["max_upload"]
    assert "2147483647" in refused(ann, "torrent", "limits", "--set", "max_upload=3G")
    assert ann.cli("torrent", "limits", "--set", "max_upload=0")["max_upload"] == 0
    assert upload_limit(ann) == ann.status()["limits"]["up"] > 3000


# ---- Starts -------------------------------------------------------------------------------------------

def test_what_was_added_goes_on_at_the_next_start_though_the_setting_is_off(free):
    identity = free.cli("torrent", "add", MAGNET, "--set", f"save_path={free.folder / 'downloads'}")["id"]
    free.restart()
    wait_for(lambda: (free.status()["torrent"] or {}).get("torrents") == 1, what="it to be there without being asked for")
    assert free.status()["torrent"]["mode"] == "off"
    free.cli("torrent", "remove", identity)
    free.restart()
    assert free.status()["torrent"] is None


def test_what_was_set_of_a_games_torrent_outlasts_kills_and_updates(free):
    old = share_game(free, large=1 << 16)
    free.cli("share", "quake")
    wait_torrent(free, old, lambda torrent: torrent["state"] == "seeding")
    free.cli("torrent", "limits", old, "--set", "max_upload=5000")
    free.cli("torrent", "trackers", old, "--set", "add=http://tracker.invalid/announce")
    free.cli("torrent", "pause", old)
    free.restart()
    torrent = wait_torrent(free, old, lambda torrent: torrent["state"] == "paused")
    assert torrent["max_upload"] == 5000
    urls = [tracker["url"] for tracker in free.cli("torrent", "trackers", old)["trackers"]]
    assert urls == ["http://tracker.invalid/announce"]
    free.cli("torrent", "resume", old)
    # Who shared the game shares the next content of it.
    (free.games / "quake/version.ini").write_text("2.0\n")
    new = free.wait_games(lambda games: games["quake"]["content"] not in (None, old))["quake"]["content"]
    torrent = wait_torrent(free, new, lambda torrent: torrent["state"] == "seeding")
    assert torrent["max_upload"] == 5000 and old not in torrents_of(free)


def test_a_game_whose_torrent_was_removed_is_not_seeded_until_it_is_shared(ann):
    content = share_game(ann, large=1 << 16)
    wait_torrent(ann, content, lambda torrent: torrent["state"] == "seeding")
    ann.cli("torrent", "remove", content)
    # A setting, and a start, by which all others are seeded.
    other = share_game(ann, "doom", large=1 << 16)
    ann.cli("limits", "--up", "3M")
    ann.restart()
    wait_torrent(ann, other, lambda torrent: torrent["state"] == "seeding")
    ann.wait_games(lambda games: games["quake"]["content"] == content)
    assert list(torrents_of(ann)) == [other]
    ann.cli("share", "quake")
    wait_torrent(ann, content, lambda torrent: torrent["state"] == "seeding")


# ---- Sessions -----------------------------------------------------------------------------------------

@needs_stranger
def test_after_a_restart_of_the_engine_our_games_are_seeded_to_strangers(lab):
    ann, host = torrent_peer(lab.host("ann")), lab.host("eve")
    content = share_game(ann, large=1 << 20)
    hybrid = ann.cli("share", "quake", "--hybrid")
    for identity in (content, hybrid["id"]):
        wait_torrent(ann, identity, lambda torrent: torrent["state"] == "seeding")
    sessions = ann.status()["torrent"]["sessions"]
    ann.cli("torrent", "restart")
    ann.wait_until(lambda: ann.status()["torrent"]["sessions"] == sessions + 1, what="another session")
    wait_listening(ann)
    for identity in (content, hybrid["id"]):
        wait_torrent(ann, identity, lambda torrent: torrent["state"] == "seeding")
    process, _ = start_stranger(host)
    (host.folder / "into").mkdir()
    tell(process, add=ann.cli("share", "quake")["torrent"], into=str(host.folder / "into"),
         peers=[torrent_address(ann)])
    hear(process, "finished")
    assert tree(host.folder / "into/quake") == tree(ann.games / "quake")
    # And what it has is known to be a game's.
    assert "its files are those of the game quake" in refused(ann, "torrent", "remove", content, "--data")
