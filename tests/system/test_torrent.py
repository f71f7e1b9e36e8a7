"""The torrent engine as a part of the program: real daemons, and clients that are not ours."""

import base64
import json
import pathlib
import re
import shutil
import subprocess
import threading
import urllib.parse
import urllib.request

import pytest

import stranger
from clients import TRANSMISSION, Transmission
from lanlab import BUILD, PATIENCE, Lab, LabError, make_file, make_tree, tree

PYTHON = stranger.find()
needs_stranger = pytest.mark.skipif(not PYTHON, reason="python3-libtorrent is not installed")
needs_transmission = pytest.mark.skipif(not TRANSMISSION, reason="transmission-daemon is not installed")


def supported():
    """Whether this build has the engine."""
    result = subprocess.run(["ldd", BUILD / "app/lanspread"], stdout=subprocess.PIPE, text=True, check=False)
    return "libtorrent-rasterbar" in result.stdout


pytestmark = pytest.mark.skipif((BUILD / "app/lanspread").exists() and not supported(),
                                reason="built without libtorrent")


# ---- Helpers ------------------------------------------------------------------------------------------

def torrent_peer(host, *more, **options):
    """A daemon whose torrent engine listens."""
    daemon = host.daemon(arguments=["--swarm", "lan", *more], **options)
    wait_listening(daemon)
    return daemon


def wait_listening(daemon):
    daemon.wait_until(lambda: (daemon.status()["torrent"] or {}).get("port"), what="its torrent engine to listen")
    return daemon


def torrent_address(daemon):
    return f"{daemon.host.address}:{daemon.status()['torrent']['port']}"


def share_game(daemon, game="quake", large=8 << 20, seed=1):
    """Puts a game into the library; its content id."""
    make_tree(daemon.games / game, large=large, small=12, seed=seed)
    (daemon.games / game / "version.ini").write_text("1.0\n")
    return daemon.wait_games(lambda games: games[game]["content"])[game]["content"]


def torrents_of(daemon):
    return {torrent["id"]: torrent for torrent in daemon.cli("torrent", "list")["torrents"]}


def wait_torrent(daemon, identity, condition, timeout=PATIENCE):
    """Until a torrent satisfies it."""
    return daemon.wait_until(
        lambda: identity in torrents_of(daemon) and condition(torrents_of(daemon)[identity]) and
        torrents_of(daemon)[identity], timeout, "a torrent to be right")


def start_stranger(host):
    """Its process, with pipes, and the port that it listens on: one of its own, for nothing else lives on the host."""
    port = 6881 + len(host.lab.processes)
    inside = ["nsenter", f"--net=/run/netns/{host.namespace}"] if host.namespace else []
    process = subprocess.Popen(inside + [PYTHON, stranger.__file__, "run", str(port)], stdin=subprocess.PIPE,
                               stdout=subprocess.PIPE, text=True)
    host.lab.processes.append(process)
    return process, json.loads(process.stdout.readline())["listening"]


def tell(process, **command):
    process.stdin.write(json.dumps(command) + "\n")
    process.stdin.flush()
    return hear(process, "added")


def hear(process, key):
    """The next line with that member; the harness's own deadline is the limit."""
    timer = threading.Timer(2 * PATIENCE, process.kill)
    timer.start()
    try:
        for line in process.stdout:
            event = json.loads(line)
            if "error" in event:
                raise LabError(f"the stranger says: {event['error']}")
            if key in event:
                return event
        raise LabError(f"the stranger ended, or said no '{key}' in time")
    finally:
        timer.cancel()


def sent_blocks(process):
    """{the first 40 digits of the id: [piece, block]} that a stranger sent since the last time, in turn."""
    process.stdin.write('{"sent": true}\n')
    process.stdin.flush()
    return hear(process, "sent")["sent"]


def dial_until(daemon, identity, peer, condition, what):
    """Has a torrent dial a peer, again and again, as trackers and DHT would, until the condition is true."""
    for attempt in range(10):
        if identity in torrents_of(daemon):
            daemon.run_cli("torrent", "add_peers", identity, "--set", f'peers=["{peer}"]')
        try:
            return daemon.wait_until(condition, 6, what)
        except LabError:
            if attempt == 9:
                raise


def make_torrent(folder, output, kind, piece_length=0):
    result = subprocess.run([PYTHON, stranger.__file__, "make", folder, output, kind, str(piece_length)],
                            stdout=subprocess.PIPE, check=True, text=True)
    return json.loads(result.stdout)


def torrent_of_pieces(count):
    """A torrent file of one file that nobody has, of so many pieces of 16 KiB."""
    pieces = 20 * count
    return (f"d4:infod6:lengthi{count << 14}e4:name8:disk.img12:piece lengthi16384e6:pieces{pieces}:".encode()
            + bytes(pieces) + b"ee")


def send_torrent(link, metainfo):
    """As the page does; what was answered."""
    body = json.dumps({"metainfo": base64.b64encode(metainfo).decode(), "paused": True}).encode()
    parts = urllib.parse.urlsplit(link)
    request = urllib.request.Request(f"http://{parts.netloc}/api/torrents", body, {
        "Content-Type": "application/json", "Authorization": "Bearer " + parts.query.removeprefix("token=")})
    with urllib.request.urlopen(request, timeout=PATIENCE) as reply:
        return json.load(reply)


def is_here(daemon, game):
    """Downloaded, hashed, and nothing goes on with it."""
    known = daemon.list_games().get(game, {})
    return known.get("availability") == "downloaded" and known["content"] and known["operation"] == "none"


def make_game(folder, version="1.0", large=3 << 20, seed=5):
    make_tree(folder, large=large, small=8, seed=seed)
    (folder / "version.ini").write_text(version + "\n")
    return folder


# ---- A swarm in the hall -----------------------------------------------------------------------------------

def test_without_being_asked_for_nothing_of_it_runs(lab):
    ann = lab.host("ann").daemon()
    assert ann.status()["torrent"] is None
    assert "torrent" not in [service["name"] for service in ann.status()["services"]]
    refusal = ann.run_cli("torrent", "list")
    assert refusal.returncode == 1 and "swarm" in refusal.stderr
    assert ann.status()["torrent"] is None


def test_a_swarm_in_the_hall_needs_no_tracker(lab):
    ann, ben = torrent_peer(lab.host("ann")), torrent_peer(lab.host("ben"))
    content = share_game(ann)
    wait_torrent(ann, content, lambda torrent: torrent["state"] == "seeding")
    ben.wait_games(lambda games: games["quake"]["sources"] == 1 and games["quake"]["content"])
    ben.cli("get", "quake", "--engine", "swarm")
    assert tree(ben.games / "quake") == tree(ann.games / "quake")
    assert ben.status()["received"] == 0 < ben.status()["torrent"]["received"]
    game = ben.list_games()["quake"]
    assert game["content"] == content and game["availability"] == "downloaded"
    assert len([one for one in ben.list_games() if "quake" in one]) == 1
    wait_torrent(ben, content, lambda torrent: torrent["state"] == "seeding")
    assert ben.status()["health"]["state"] == "ok"


def test_a_peer_met_by_a_link_local_address_is_dialled_by_another(lab):
    """libtorrent keeps addresses without their zone. Nobody but us introduces these two: LSD is off."""
    ann, ben = torrent_peer(lab.host("ann")), torrent_peer(lab.host("ben"))
    for daemon in (ann, ben):
        daemon.cli("torrent", "configure", "--set", "lsd=false")
    content = share_game(ann)
    wait_torrent(ann, content, lambda torrent: torrent["state"] == "seeding")
    ben.wait_games(lambda games: games["quake"]["sources"] == 1 and games["quake"]["content"])
    ben.cli("get", "quake", "--engine", "swarm")
    assert tree(ben.games / "quake") == tree(ann.games / "quake")


def test_a_setting_leaves_the_port_as_it_was(lab):
    """Else the others are told that it listens nowhere, and nobody offers it as a peer any more."""
    ann = torrent_peer(lab.host("ann"))
    before = ann.cli("torrent", "inspect")["listen"]
    ann.cli("torrent", "configure", "--set", "max_connections=77")
    assert before and ann.cli("torrent", "inspect")["listen"] == before
    assert ann.status()["torrent"]["port"]


def engines_used(daemon):
    """[(engine, bytes that were verified when it began)], in turn."""
    return [(match[1], int(match[2])) for match in re.finditer(
        r"quake is fetched by the (lan|swarm) engine: (\d+) of", daemon.log.read_text(errors="replace"))]


BLOCK = 16384  # the torrent engine fetches the last block of a file with its padding


@pytest.mark.parametrize("first, second", [("lan", "swarm"), ("swarm", "lan")])
def test_a_download_moves_to_the_other_engine_and_no_verified_chunk_comes_again(lab, first, second):
    ann, ben = torrent_peer(lab.host("ann", rate=80_000_000)), torrent_peer(lab.host("ben"))
    for daemon in (ann, ben):  # or they are connected several times, and fetch the last blocks from each (the end game)
        daemon.cli("torrent", "configure", "--set", "lsd=false")
    make_file(ann.games / "quake/data", 40 << 20, 1)
    (ann.games / "quake/version.ini").write_text("1.0\n")
    content = ann.wait_games(lambda games: games["quake"]["content"])["quake"]["content"]
    wait_torrent(ann, content, lambda torrent: torrent["state"] == "seeding")
    ben.wait_games(lambda games: games["quake"]["sources"] == 1 and games["quake"]["content"])
    total = ben.list_games()["quake"]["size"]
    ben.cli("get", "quake", "--engine", first, "--no-wait")
    ben.wait_event("download_progress", where=lambda event: event["done"] > total / 3)
    if first == "swarm":
        assert "lanspread pause quake" in ben.run_cli("torrent", "pause", content).stderr
        assert ben.list_games()["quake"]["swarm"]["torrents"] == [content]
    ben.cli("get", "quake", "--engine", second)
    assert tree(ben.games / "quake") == tree(ann.games / "quake")
    (one, nothing), (other, verified) = engines_used(ben)
    assert (one, nothing, other) == (first, 0, second) and total / 3 < verified < total
    status, missing = ben.status(), total - verified
    came = {"lan": status["received"], "swarm": status["torrent"]["received"]}
    # What was missing and not a byte more; what was on its way to the first engine when it stopped is lost.
    assert came[second] == (missing if second == "lan" else -(-missing // BLOCK) * BLOCK)
    assert 0 <= came[first] - verified < 4 << 20
    ben.wait_event("download_finished")
    assert ben.count_events("download_begin") == 1 and ben.count_events("download_finished") == 1


def test_seeding_is_in_the_way_of_nothing(lab):
    ann = torrent_peer(lab.host("ann"))
    content = share_game(ann)
    wait_torrent(ann, content, lambda torrent: torrent["state"] == "seeding")
    ann.cli("install", "quake")
    ann.cli("uninstall", "quake")
    assert torrents_of(ann)[content]["state"] == "seeding"
    refused = ann.run_cli("torrent", "remove", content, "--data")
    assert refused.returncode == 1 and "lanspread remove quake" in refused.stderr
    ann.cli("remove", "quake")
    ann.wait_until(lambda: content not in torrents_of(ann), what="the torrent to leave")
    assert not (ann.games / "quake/data").exists()


def test_a_game_that_could_not_be_seeded_is_seeded_later(lab):
    """Its torrent is in the engine already, for another place; once that is gone, sharing works."""
    ann, ben = lab.host("ann").daemon(), lab.host("ben").daemon()
    content = share_game(ann)
    share_game(ben)
    ben.wait_until(lambda: is_here(ben, "quake"), what="its own copy to be hashed")
    link = ann.cli("share", "quake", "--magnet")["magnet"]
    ben.cli("torrent", "add", link, "--set", "paused=true")
    ben.cli("share", "quake")
    ben.wait_log("quake is not seeded as")
    assert torrents_of(ben)[content]["state"] != "seeding"
    ben.cli("torrent", "remove", content)
    ben.wait_until(lambda: content not in torrents_of(ben), what="the other torrent to be gone")
    ben.cli("share", "quake")
    wait_torrent(ben, content, lambda torrent: torrent["state"] == "seeding")


def test_the_page_sends_torrent_files_of_megabytes():
    with Lab(namespaces=False) as lab:
        ann = torrent_peer(lab.host("ann"), http="127.0.0.1:0")
        send_torrent(ann.ready["page"], torrent_of_pieces(10 << 15))
        (torrent,) = torrents_of(ann).values()
        assert torrent["name"] == "disk.img" and torrent["total"] == 10 << 29


def test_an_update_by_the_torrent_engine_fetches_what_changed(lab):
    ann, ben = torrent_peer(lab.host("ann")), torrent_peer(lab.host("ben"))
    old = share_game(ann)
    ben.wait_games(lambda games: games["quake"]["content"] == old)
    ben.cli("install", "quake")
    (ann.games / "quake/maps/new.map").write_bytes(b"new" * 100_000)
    (ann.games / "quake/version.ini").write_text("2.0\n")
    ben.wait_games(lambda games: games["quake"]["latest_version"] == "2.0" and games["quake"]["sources"] == 1)
    new = ann.wait_games(lambda games: games["quake"]["content"] not in (None, old))["quake"]["content"]
    wait_torrent(ann, new, lambda torrent: torrent["state"] == "seeding")
    before = ben.status()["torrent"]["received"]
    ben.cli("update", "quake", "--engine", "swarm")
    game = ben.list_games()["quake"]
    assert game["content"] == new and game["local_version"] == "2.0" and game["availability"] == "installed"
    assert tree(ben.games / "quake") == tree(ann.games / "quake")
    assert 0 < ben.status()["torrent"]["received"] - before < 2 << 20
    wait_torrent(ben, new, lambda torrent: torrent["state"] == "seeding")
    assert old not in torrents_of(ben)


# ---- Strangers ---------------------------------------------------------------------------------------------

@needs_stranger
def test_a_stranger_fetches_what_we_share_by_file_and_by_magnet(lab):
    ann, host = torrent_peer(lab.host("ann")), lab.host("eve")
    content = share_game(ann)
    shared = ann.cli("share", "quake")
    assert shared["id"] == content and shared["magnet"].startswith("magnet:?xt=urn:btmh:1220" + content)
    assert ann.run_cli("share", "quake", "--magnet").stdout.strip() == shared["magnet"]
    wait_torrent(ann, content, lambda torrent: torrent["state"] == "seeding")
    for number, source in enumerate((shared["torrent"], shared["magnet"])):
        process, _ = start_stranger(host)
        into = host.folder / f"into{number}"
        into.mkdir()
        tell(process, add=source, into=str(into), peers=[torrent_address(ann)])
        hear(process, "finished")
        assert tree(into / "quake") == tree(ann.games / "quake")
        process.kill()


@needs_stranger
def test_a_hybrid_torrent_of_our_game_is_fetched_by_its_v1_hash(lab):
    # Debian 12's Transmission (3.00) reads no torrent with a file tree, so this stranger joins the v1 swarm instead.
    ann, host = torrent_peer(lab.host("ann")), lab.host("eve")
    content = share_game(ann)
    shared = ann.cli("share", "quake", "--hybrid")
    assert shared["content"] == content != shared["id"]
    assert pathlib.Path(shared["torrent"]).is_file()  # when it is told, not soon after
    ann.wait_event("torrent_create_progress", job="share quake")
    v1 = wait_torrent(ann, shared["id"], lambda torrent: torrent["state"] == "seeding")["info_hash_v1"]
    assert f"urn:btih:{v1}" in shared["magnet"] and "urn:btmh:" in shared["magnet"]
    process, _ = start_stranger(host)
    (host.folder / "into").mkdir()
    tell(process, add=f"magnet:?xt=urn:btih:{v1}", into=str(host.folder / "into"), peers=[torrent_address(ann)])
    hear(process, "finished")
    assert tree(host.folder / "into/quake", without=(".pad",)) == \
        tree(ann.games / "quake", without=(".lanspread", "local"))
    assert set(ann.list_games()["quake"]["swarm"]["torrents"]) == {content, shared["id"]}


@needs_stranger
def test_we_fetch_what_a_stranger_seeds(lab, tmp_path):
    ann, host = torrent_peer(lab.host("ann")), lab.host("eve")
    make_tree(tmp_path / "things", large=3 << 20, small=5)
    for kind in ("v1", "v2", "hybrid"):
        made = make_torrent(tmp_path / "things", tmp_path / f"{kind}.torrent", kind)
        process, port = start_stranger(host)
        tell(process, add=str(tmp_path / f"{kind}.torrent"), into=str(tmp_path), seed=True)
        added = ann.cli("torrent", "add", tmp_path / f"{kind}.torrent", "--set", f"save_path={ann.folder / kind}",
                        "--set", f'peers=["{host.address}:{port}"]')
        assert added["id"] == (made["v2"] or made["v1"])
        ann.wait_event("torrent_completed", torrent=added["id"])
        assert tree(ann.folder / kind / "things") == tree(tmp_path / "things")
        process.kill()
    assert set(torrents_of(ann)) >= {added["id"]}


@needs_stranger
@pytest.mark.parametrize("kind", ["v1", "v2", "hybrid"])
def test_a_strangers_torrent_with_a_version_becomes_a_game_and_installs(lab, tmp_path, kind):
    ann, host = torrent_peer(lab.host("ann")), lab.host("eve")
    make_game(tmp_path / "doom")
    make_torrent(tmp_path / "doom", tmp_path / "doom.torrent", kind, 32768 if kind == "hybrid" else 0)
    process, port = start_stranger(host)
    tell(process, add=str(tmp_path / "doom.torrent"), into=str(tmp_path), seed=True)
    added = ann.cli("torrent", "add", tmp_path / "doom.torrent", "--as-game")
    assert added["game"] == "doom" and added["operation"] == "downloading"
    # What the download reads of it is there when it begins. That of a v1 torrent is kept once its content is known.
    assert kind == "v1" or (ann.state / f"torrents/{added['torrent']}.torrent").is_file()
    assert not (ann.games / "doom/version.ini").exists()
    identity = ann.wait_event("torrent_added", where=lambda event: event["status"]["game"] == "doom")["torrent"]
    dial_until(ann, identity, f"{host.address}:{port}", lambda: is_here(ann, "doom"), "the game to be here")
    assert tree(ann.games / "doom") == tree(tmp_path / "doom")
    assert not (ann.games / "doom/.lanspread/stage").exists()
    ann.cli("install", "doom")
    assert ann.list_games()["doom"]["availability"] == "installed"
    # It is seeded back under the hash that it came by, from the library.
    wait_torrent(ann, identity, lambda torrent: torrent["state"] == "seeding" and
                 torrent["save_path"] == str(ann.games))


@needs_stranger
def test_a_magnet_becomes_a_game_once_its_metadata_is_here(lab, tmp_path):
    ann, host = torrent_peer(lab.host("ann")), lab.host("eve")
    make_game(tmp_path / "doom")
    made = make_torrent(tmp_path / "doom", tmp_path / "doom.torrent", "v2")
    process, port = start_stranger(host)
    tell(process, add=str(tmp_path / "doom.torrent"), into=str(tmp_path), seed=True)
    magnet = f"magnet:?xt=urn:btmh:1220{made['v2']}&dn=doom"
    added = ann.cli("torrent", "add", magnet, "--as-game")
    assert added["operation"] == "fetching_metadata" and added["torrent"] == made["v2"]
    ann.restart()
    wait_listening(ann)
    peer = f"{host.address}:{port}"
    dial_until(ann, made["v2"], peer, lambda: ann.count_events("download_begin", game="doom"), "the download")
    dial_until(ann, made["v2"], peer, lambda: is_here(ann, "doom"), "the game to be here")
    assert tree(ann.games / "doom") == tree(tmp_path / "doom")


@needs_stranger
def test_without_a_version_it_is_no_game_and_never_goes_into_the_library(lab, tmp_path):
    ann = torrent_peer(lab.host("ann"))
    make_tree(tmp_path / "things", large=1 << 16, small=2)
    make_torrent(tmp_path / "things", tmp_path / "t.torrent", "v2")
    refused = ann.run_cli("torrent", "add", tmp_path / "t.torrent", "--as-game")
    assert refused.returncode == 1 and "version.ini" in refused.stderr and refused.stderr.count("\n") == 1
    refused = ann.run_cli("torrent", "add", tmp_path / "t.torrent", "--set", f"save_path={ann.games}")
    assert refused.returncode == 1 and "games folder" in refused.stderr
    assert torrents_of(ann) == {}


@needs_stranger
def test_a_game_that_both_engines_know_is_one(lab, tmp_path):
    ann, ben = torrent_peer(lab.host("ann")), torrent_peer(lab.host("ben"))
    content = share_game(ann)
    ben.wait_games(lambda games: games["quake"]["content"] == content)
    shutil.copytree(ann.games / "quake", tmp_path / "quake", ignore=shutil.ignore_patterns(".lanspread"))
    made = make_torrent(tmp_path / "quake", tmp_path / "quake.torrent", "hybrid", 65536)
    assert made["v2"] != content
    added = ben.cli("torrent", "add", tmp_path / "quake.torrent", "--as-game")
    assert added["content"] == content and added["torrent"] == made["v2"]
    ben.cli("get", "quake", "--engine", "lan")
    game = ben.list_games()["quake"]
    assert game["content"] == content and game["sources"] == 1 and made["v2"] in game["swarm"]["torrents"]
    assert [one for one in ben.list_games() if "quake" in one] == ["quake"]


# ---- Transmission --------------------------------------------------------------------------------------------

@needs_transmission
@needs_stranger
def test_transmission_seeds_and_its_torrent_becomes_a_game(lab, tmp_path):
    ann, host = torrent_peer(lab.host("ann")), lab.host("eve")
    client = Transmission(host)
    make_game(client.downloads / "doom")
    make_torrent(client.downloads / "doom", tmp_path / "doom.torrent", "v1")
    client.rpc("torrent-add", filename=str(tmp_path / "doom.torrent"))
    ann.cli("torrent", "add", tmp_path / "doom.torrent", "--as-game")
    identity = ann.wait_event("torrent_added", where=lambda event: event["status"]["game"] == "doom")["torrent"]
    dial_until(ann, identity, f"{host.address}:51413", lambda: is_here(ann, "doom"), "the game to be here")
    ann.cli("install", "doom")
    assert tree(ann.games / "doom") == tree(client.downloads / "doom")
