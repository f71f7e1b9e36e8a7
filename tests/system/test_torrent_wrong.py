"""What a person or a stranger gives to the torrent engine that is wrong: each is refused in one clear line, and nothing
is written where it should not be."""

import json
import pathlib
import random
import subprocess

import pytest

from lanlab import BUILD, PATIENCE, Lab, make_tree
from outside import bencode
from test_torrent import pytestmark as needs_libtorrent, share_game, torrent_peer, torrents_of

pytestmark = [needs_libtorrent, pytest.mark.xdist_group("torrent-wrong")]  # they share a daemon

NOBODY = "0123456789abcdef0123456789abcdef01234567"
MAGNET = f"magnet:?xt=urn:btih:{NOBODY}"


@pytest.fixture(scope="module")
def ann():
    with Lab(namespaces=False) as lab:
        yield torrent_peer(lab.host("ann"), "--no-discovery")


def refused(daemon, *words):
    """What it says on stderr, which is one line; as JSON it says the same."""
    result = daemon.run_cli(*words, "--json", timeout=60)
    assert result.returncode in (1, 2), (words, result.stdout)
    assert result.stderr.count("\n") == 1, (words, result.stderr)
    assert len(result.stderr) < 600, words
    if result.returncode == 1:
        document = json.loads(result.stdout)
        assert document["ok"] is False and document["error"]["code"]
    return result.stderr


# ---- Torrent files ------------------------------------------------------------------------------------

def torrent(name=b"evil", files=None, length=5, **members):
    info = {"name": name, "piece length": 16384, "pieces": bytes(20)}
    if files is None:
        info["length"] = length
    else:
        info["files"] = [{"length": 5, "path": path} for path in files + [[b"version.ini"]]]
    return bencode({"info": {**info, **members}})


NO_TORRENTS = {
    "a picture": bytes([0xFF, 0xD8, 0xFF, 0xE0]) + random.Random(1).randbytes(40000),
    "nothing": b"",
    "nesting": b"l" * (10 << 20),
    "nesting that is closed": b"d4:info" + b"l" * (5 << 20) + b"e" * (5 << 20) + b"e",
    "half of one": torrent()[:-3],
    "a file of less than nothing": torrent(length=-1),
    "a file as large as the sea": torrent(length=1 << 62),
    "no pieces": bencode({"info": {"name": "evil", "length": 5, "piece length": 16384}}),
    "pieces of nothing": bencode({"info": {"name": "evil", "length": 5, "piece length": 0, "pieces": bytes(20)}}),
}
# These are read, but nothing of them may leave its folder.
HOSTILE = {
    "a path upwards": torrent(files=[[b"..", b"..", b"..", b"escaped"], [b"a"]]),
    "an absolute path": torrent(files=[[b"/tmp/escaped"], [b"a"]]),
    "a name upwards": torrent(name=b"..", files=[[b"escaped"], [b"a"]]),
    "an absolute name": torrent(name=b"/tmp/escaped"),
    "a name with slashes": torrent(name=b"../../escaped"),
    "a name with NUL": torrent(name=b"a\0b"),
    "a path with NUL": torrent(files=[[b"a\0b"], [b"a"]]),
    "a name that is no UTF-8": torrent(name=b"\xff\xfe\x80"),
    "a name that draws": torrent(name=b"\x1b[2J\x1b[Hevil"),
    "a name of 5000 letters": torrent(name=b"n" * 5000),
}


@pytest.mark.parametrize("kind", NO_TORRENTS)
def test_what_is_no_torrent_is_refused(ann, tmp_path, kind):
    file = tmp_path / "evil.torrent"
    file.write_bytes(NO_TORRENTS[kind])
    before = torrents_of(ann)
    said = refused(ann, "torrent", "add", file, "--set", f"save_path={tmp_path / 'into'}")
    assert "torrent" in said
    refused(ann, "torrent", "add", file, "--as-game", "--set", "game=evil")
    assert torrents_of(ann) == before and not (tmp_path / "into").exists() and not (ann.games / "evil").exists()


@pytest.mark.parametrize("kind", HOSTILE)
def test_no_torrent_leaves_its_folder(ann, tmp_path, kind):
    file, into = tmp_path / "evil.torrent", tmp_path / "deep/er/into"
    file.write_bytes(HOSTILE[kind])
    into.mkdir(parents=True)
    result = ann.run_cli("torrent", "add", file, "--json", "--set", f"save_path={into}", "--set", "storage=allocate")
    if result.returncode == 0:
        identity = json.loads(result.stdout)["id"]
        listed = ann.run_cli("torrent", "list").stdout
        assert "\x1b" not in listed
        for entry in ann.cli("torrent", "files", identity)["files"]:
            path = pathlib.PurePosixPath(entry["path"])
            assert not path.is_absolute() and ".." not in path.parts
        ann.cli("torrent", "remove", identity, "--data")
    else:
        assert result.stderr.count("\n") == 1
    assert not list(tmp_path.rglob("escaped")) or all(into in path.parents for path in tmp_path.rglob("escaped"))
    assert not pathlib.Path("/tmp/escaped").exists()
    # And it makes no game, whatever it is called.
    refused(ann, "torrent", "add", file, "--as-game", "--set", "game=evil")
    assert not (ann.games / "evil").exists()


# ---- Words --------------------------------------------------------------------------------------------

# What was given, and what its one line must have: the culprit, or the way out.
WRONG = [
    (["add", "magnet:nonsense"], "this is no torrent"),
    (["add", "magnet:?xt=urn:btih:zz"], "invalid info-hash"),
    (["add", "magnet:?dn=x"], "missing info-hash"),
    (["add", "/nowhere.torrent"], "cannot read /nowhere.torrent: No such file"),
    (["add", "nowhere.torrent"], "cannot read nowhere.torrent: No such file"),
    (["add", "/"], "directory"),
    (["add", "http://x/y.torrent"], "download"),
    (["add"], "give one of"),
    (["add", MAGNET, "--set", "seed_ratio=-1"], "seed_ratio"),
    (["add", MAGNET, "--set", "seed_time=1e99"], "seed_time"),
    (["add", MAGNET, "--set", "queue_position=99999999999"], "queue_position"),
    (["add", MAGNET, "--set", "queue_position=-1"], "queue_position"),
    (["add", MAGNET, "--set", "trackers=foo"], "udp://"),
    (["add", MAGNET, "--set", "web_seeds=udp://x"], "https://"),
    (["add", MAGNET, "--set", "peers=nowhere"], "nowhere is no address and port"),
    (["add", MAGNET, "--set", "savepath=/x"], "savepath"),
    (["add", MAGNET, "--set", "storage=full"], "sparse or allocate"),
    (["add", MAGNET, "--set", "have=maybe"], "none, all"),
    (["add", MAGNET, "--set", "have=all"], "needs a .torrent"),
    (["add", MAGNET, "--set", "include=[a"], "a [ without a ]"),
    (["add", MAGNET, "--set", "max_connections=-4"], "max_connections"),
    (["pause"], "TORRENT is missing"),
    (["pause", "xyz"], "there is no torrent xyz here"),
    (["list", "ffffffff"], "there is no torrent ffffffff here"),
    (["remove", "ffffffff", "--data"], "there is no torrent ffffffff here"),
    (["limits", "--set", "max_download=-1"], "max_download"),
    (["limits", "--set", "max_download=99999999999"], "2147483647"),
    (["sequential", "ffffffff", "maybe"], "true or false"),
    (["move", "ffffffff"], "is missing"),
    (["deadline", "ffffffff", "first"], "'first' must be a whole number"),
    (["cancel", "nothing"], "there is no creation called nothing"),
    (["create", "/nowhere"], "cannot read /nowhere"),
    (["create"], "give one of them"),
    (["create", "/dev/zero"], "neither a file nor a folder"),
    (["create", "/dev/null"], "neither a file nor a folder"),
    (["create", "--set", "game=nosuch"], "nosuch is not here"),
    (["configure", "--set", "dth=true"], "dth"),
    (["configure", "--set", "listen=ann:1"], "0.0.0.0:6881"),
    (["configure", "--set", "ip_filter=ann"], "ann"),
    (["configure", "--set", "mode=internet"], "lanspread config swarm"),
    (["configure", "--set", "max_connections=1"], "from 2 to 65535"),
    (["configure", "--set", 'proxy={"type": "magic"}'], "socks5"),
    (["configure", "--set", "nonsense"], "KEY=VALUE"),
    (["fly"], "there is no command 'fly'"),
]


@pytest.mark.parametrize("words, fragment", WRONG, ids=[" ".join(words)[:60] for words, _ in WRONG])
def test_wrong_words_are_answered_in_one_line_that_helps(ann, words, fragment):
    before = torrents_of(ann), ann.cli("torrent", "inspect")["configuration"]
    assert fragment in refused(ann, "torrent", *words)
    assert (torrents_of(ann), ann.cli("torrent", "inspect")["configuration"]) == before


def test_a_link_that_nobody_answers_is_treated_as_what_it_is(ann):
    added = ann.cli("torrent", "add", MAGNET, "--set", f"save_path={ann.folder / 'downloads'}")
    assert added["id"] == NOBODY and added["state"] in ("fetching_metadata", "queued")
    assert "is here already" in refused(ann, "torrent", "add", MAGNET)
    assert "nothing to check" in refused(ann, "torrent", "recheck", NOBODY)
    assert "no such piece" in refused(ann, "torrent", "deadline", NOBODY, "0")
    assert "udp://" in refused(ann, "torrent", "trackers", NOBODY, "--set", "add=not a url")
    assert "udp://" in refused(ann, "torrent", "trackers", NOBODY, "--set", "add=[5]")
    assert "https://" in refused(ann, "torrent", "web_seeds", NOBODY, "--set", "set=nonsense")
    assert "urgent" not in ann.run_cli("torrent", "select", NOBODY, "--set", 'priorities={"a": "urgent"}').stdout
    assert "is no address and port" in refused(ann, "torrent", "add_peers", NOBODY, "--set", "peers=10.0.0.1:99999")
    assert ann.run_cli("torrent", "files", NOBODY).stdout == "its files are not known yet: its metadata is not here\n"
    assert ann.run_cli("torrent", "peers", NOBODY).stdout == "nobody is connected\n"
    listed = ann.run_cli("torrent", "list", NOBODY[:6]).stdout.splitlines()
    assert listed[0].split()[:3] == ["ID", "NAME", "STATE"] and listed[1].startswith(NOBODY[:8])
    assert ann.run_cli("torrent", "remove", NOBODY).stdout == "removed\n"


def test_sharing_says_what_is_wrong(ann):
    assert '"nosuch" is known here' in refused(ann, "share", "nosuch")
    assert "wesnoth is not downloaded here" in refused(ann, "share", "wesnoth")
    content = share_game(ann, large=1 << 16)
    assert "http" in refused(ann, "share", "quake", "--tracker", "foo")
    link = ann.run_cli("share", "quake", "--magnet").stdout
    assert link.startswith(f"magnet:?xt=urn:btmh:1220{content}&dn=quake") and link.count("\n") == 1
    hybrid, path = ann.run_cli("share", "quake", "--hybrid").stdout.splitlines()
    assert "urn:btih:" in hybrid and "urn:btmh:" in hybrid and "dn=quake" in hybrid and pathlib.Path(path).is_file()


def test_a_game_that_nobody_gives_by_bittorrent_is_told_at_once_with_the_way_out():
    with Lab(namespaces=False) as lab:
        ann, ben = lab.host("ann").daemon(), lab.host("ben").daemon()
        make_tree(ann.games / "quake", large=1 << 20, small=3)
        (ann.games / "quake/version.ini").write_text("1.0\n")
        ben.wait_games(lambda games: games["quake"]["sources"] == 1 and games["quake"]["content"])
        with subprocess.Popen([BUILD / "app/lanspread", "get", "--control", ben.control, "quake", "--engine", "swarm"],
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=ben.env) as waiting:
            said = waiting.stderr.readline()
            assert "nobody gives it by BitTorrent" in said and "lanspread get quake --engine lan" in said
            assert ben.wait_event("download_all_peers_gone")["engine"] == "swarm"
            assert ben.list_games()["quake"]["waiting"] is True
            # The way out is one.
            ben.cli("get", "quake", "--engine", "lan")
            out, errors = waiting.communicate(timeout=PATIENCE)
        assert waiting.returncode == 0 and "downloaded" in out and errors == ""
        assert ben.count_events("download_all_peers_gone") == 1
