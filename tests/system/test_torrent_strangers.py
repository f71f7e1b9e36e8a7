"""Clients that are not ours and both engines at once: who fetches from us, and what is done with a game meanwhile."""

import re
import shutil
import subprocess
import sys

import pytest

import clients
from clients import Tracker
from lanlab import tree, wait_for
from test_torrent import (engines_used, hear, is_here, make_game, make_torrent, needs_stranger,  # noqa: F401
                          pytestmark, share_game, start_stranger, tell, torrent_address, torrent_peer, torrents_of,
                          wait_listening, wait_torrent)

FETCHERS = {"transmission-daemon": clients.fetch_by_transmission, "aria2c": clients.fetch_by_aria2,
            "rtorrent": clients.fetch_by_rtorrent, "qbittorrent-nox": clients.fetch_by_qbittorrent}


def fetch_by(program, host, torrent):
    """What that client fetches on a host that has nothing; the folder that it is in."""
    if not shutil.which(program):
        pytest.skip(f"{program} is not installed")
    into = host.folder / "fetched"
    into.mkdir()
    FETCHERS[program](host, torrent, into)
    return into


def with_bytes(folder):
    """The tree without empty files, which Transmission does not make."""
    empty = {path.relative_to(folder).as_posix() for path in folder.rglob("*")
             if path.is_file() and not path.stat().st_size}
    return {path: digest for path, digest in tree(folder, without=()).items() if path not in empty}


def status_of(process, identity):
    """How far a stranger is, and how many pieces came wrong."""
    process.stdin.write(f'{{"status": "{identity}"}}\n')
    process.stdin.flush()
    return hear(process, "status")


def unlimit(process, identity):
    process.stdin.write(f'{{"unlimit": "{identity}"}}\n')
    process.stdin.flush()


def wait_in_the_middle(process, identity, least=1):
    """Until so many bytes have come to a stranger; it must not be done."""
    def asked():
        status = status_of(process, identity)
        return status if status["done"] >= least else None

    status = wait_for(asked, what="a stranger to have a part")
    assert status["done"] < status["total"]
    return status


# ---- Clients of Debian fetch from us ------------------------------------------------------------------------

@needs_stranger
def test_what_became_a_game_is_seeded_to_clients_of_v1(lab, tmp_path):
    """A v1 torrent of somebody else: fetched as a game, then seeded from the library, to clients that have nothing."""
    programs = [program for program in ("transmission-daemon", "aria2c", "rtorrent") if shutil.which(program)]
    if not programs or not shutil.which("transmission-create"):
        pytest.skip("transmission-cli is not installed, or none of the clients")
    tracker, ann, eve = Tracker(lab.host("tom")), torrent_peer(lab.host("ann")), lab.host("eve")
    make_game(tmp_path / "doom")
    subprocess.run(["transmission-create", "-o", tmp_path / "doom.torrent", "-t", tracker.url, tmp_path / "doom"],
                   stdout=subprocess.DEVNULL, check=True)
    origin, _ = start_stranger(eve)
    v1 = tell(origin, add=str(tmp_path / "doom.torrent"), into=str(tmp_path), seed=True)["added"]
    tracker.wait_seed(v1, eve.address)
    ann.cli("torrent", "add", tmp_path / "doom.torrent", "--as-game")
    ann.wait_until(lambda: is_here(ann, "doom"), what="the game to be here")
    origin.kill()
    wait_torrent(ann, v1, lambda torrent: torrent["state"] == "seeding" and torrent["save_path"] == str(ann.games))
    tracker.wait_seed(v1, ann.host.address)
    for count, program in enumerate(programs, 1):
        host = lab.host(f"host{count}")
        into = fetch_by(program, host, tmp_path / "doom.torrent")
        host.unplug()  # or it would seed to the next
        assert with_bytes(into / "doom") == with_bytes(tmp_path / "doom"), program
        wait_torrent(ann, v1, lambda torrent, count=count: torrent["uploaded"] >= count * torrent["size"])


def test_a_hybrid_torrent_of_our_game_is_fetched_by_rtorrent(lab):
    """rtorrent 0.9 knows neither v2 nor padding: it takes the padding for files, and no two of one name."""
    tracker, ann = Tracker(lab.host("tom")), torrent_peer(lab.host("ann"))
    (ann.games / "quake").mkdir()
    for name in ("one", "two", "three"):  # the padding behind them is of the same length
        (ann.games / "quake" / name).write_bytes(name.encode().ljust(1000, b"."))
    share_game(ann)
    shared = ann.cli("share", "quake", "--hybrid", "--tracker", tracker.url)
    v1 = wait_torrent(ann, shared["id"], lambda torrent: torrent["state"] == "seeding")["info_hash_v1"]
    tracker.wait_seed(v1, ann.host.address)
    into = fetch_by("rtorrent", lab.host("eve"), shared["torrent"])
    assert tree(into / "quake", without=(".pad",)) == tree(ann.games / "quake", without=(".lanspread", "local"))


def test_a_game_that_we_share_is_fetched_by_qbittorrent(lab):
    tracker, ann = Tracker(lab.host("tom")), torrent_peer(lab.host("ann"))
    content = share_game(ann)
    shared = ann.cli("share", "quake", "--tracker", tracker.url)
    tracker.wait_seed(content, ann.host.address)
    into = fetch_by("qbittorrent-nox", lab.host("eve"), shared["torrent"])
    assert tree(into / "quake") == tree(ann.games / "quake")


# ---- Both engines at once -------------------------------------------------------------------------------------

@needs_stranger
def test_what_is_complete_is_served_by_both_engines_at_once(lab):
    ann, ben, eve = torrent_peer(lab.host("ann")), lab.host("ben", rate=8_000_000).daemon(), lab.host("eve")
    content = share_game(ann, large=20 << 20)
    torrent = ann.cli("share", "quake")["torrent"]
    wait_torrent(ann, content, lambda torrent: torrent["state"] == "seeding")
    ben.wait_games(lambda games: games["quake"]["sources"] == 1 and games["quake"]["content"])
    size = ben.list_games()["quake"]["size"]
    process, _ = start_stranger(eve)
    (eve.folder / "into").mkdir()
    stranger = tell(process, add=torrent, into=str(eve.folder / "into"), peers=[torrent_address(ann)],
                    limit_down=512 << 10)["added"]
    ben.cli("get", "quake", "--no-wait")
    ben.wait_event("download_progress", where=lambda event: event["done"] > 0)
    part = wait_in_the_middle(process, stranger)
    status = ann.status()
    assert ben.list_games()["quake"]["operation"] == "downloading"  # neither is done, and both are given something
    assert 0 < status["sent"] < size and 0 < part["done"]
    ben.host.limit(None)
    unlimit(process, stranger)
    ben.wait_event("download_finished")
    hear(process, "finished")
    assert tree(ben.games / "quake") == tree(ann.games / "quake") == tree(eve.folder / "into/quake")
    ann.wait_until(lambda: ann.status()["torrent"]["sent"] >= size, what="all that was sent to be counted")
    assert ann.status()["sent"] >= size <= ben.status()["received"]
    assert ben.status()["torrent"] is None and status_of(process, stranger)["wrong"] == 0


@needs_stranger
def test_a_game_has_the_sources_of_both_engines_and_is_fetched_from_both(lab, tmp_path):
    """A peer that has no torrent engine, and a stranger that seeds a torrent of other pieces: one game."""
    ann, ben, eve = lab.host("ann").daemon(), torrent_peer(lab.host("ben")), lab.host("eve")
    content = share_game(ann, large=12 << 20)
    shutil.copytree(ann.games / "quake", tmp_path / "quake", ignore=shutil.ignore_patterns(".lanspread"))
    made = make_torrent(tmp_path / "quake", tmp_path / "quake.torrent", "hybrid", 65536)
    process, port = start_stranger(eve)
    tell(process, add=str(tmp_path / "quake.torrent"), into=str(tmp_path), seed=True, limit=1 << 20)
    ben.wait_games(lambda games: games["quake"]["content"] == content and games["quake"]["sources"] == 1)
    ben.cli("torrent", "add", tmp_path / "quake.torrent", "--as-game")
    ben.wait_event("torrent_added", torrent=made["v2"])
    ben.cli("torrent", "add_peers", made["v2"], "--set", f'peers=["{eve.address}:{port}"]')
    ben.wait_event("download_progress", where=lambda event: event["engine"] == "swarm" and event["done"] > 1 << 20)
    game = ben.list_games()["quake"]
    assert game["sources"] == 1 and game["swarm"]["peers"] >= 1 and made["v2"] in game["swarm"]["torrents"]
    assert [one for one in ben.list_games() if "quake" in one] == ["quake"] and ben.status()["received"] == 0
    ben.cli("get", "quake", "--engine", "lan")
    assert tree(ben.games / "quake") == tree(ann.games / "quake")
    (_, nothing), (engine, verified) = engines_used(ben)
    assert (nothing, engine) == (0, "lan") and verified > 1 << 20
    assert ben.status()["received"] == game["size"] - verified  # not a byte of what had come from the stranger


class Fetching:
    """A stranger in the middle of fetching a game from us, as long as nobody lets it go on."""

    def __init__(self, daemon, host, content):
        self.daemon, self.host, self.into = daemon, host, host.folder / "into"
        self.into.mkdir()
        torrent = daemon.cli("share", "quake")["torrent"]
        wait_torrent(daemon, content, lambda torrent: torrent["state"] == "seeding")
        self.process, _ = start_stranger(host)
        self.identity = tell(self.process, add=torrent, into=str(self.into), peers=[torrent_address(daemon)],
                             limit_down=128 << 10)["added"]
        wait_in_the_middle(self.process, self.identity)

    def status(self):
        return status_of(self.process, self.identity)

    def assert_in_the_middle(self):
        """The operation did not wait for it, and nothing that came was wrong."""
        status = self.status()
        assert 0 < status["done"] < status["total"] and status["wrong"] == 0

    def assert_finishes(self):
        unlimit(self.process, self.identity)
        hear(self.process, "finished")
        assert self.status()["wrong"] == 0
        assert tree(self.into / "quake") == tree(self.daemon.games / "quake")


@needs_stranger
def test_a_game_is_installed_and_uninstalled_while_a_stranger_fetches_it(lab):
    ann, eve = torrent_peer(lab.host("ann")), lab.host("eve")
    fetching = Fetching(ann, eve, content := share_game(ann, large=12 << 20))
    ann.cli("install", "quake")
    assert ann.list_games()["quake"]["availability"] == "installed"
    ann.cli("uninstall", "quake")
    assert ann.list_games()["quake"]["availability"] == "downloaded"
    fetching.assert_in_the_middle()
    assert torrents_of(ann)[content]["state"] == "seeding"
    fetching.assert_finishes()


@needs_stranger
def test_a_game_is_updated_while_a_stranger_fetches_the_old_one(lab):
    ann, ben, eve = torrent_peer(lab.host("ann")), lab.host("ben").daemon(), lab.host("eve")
    fetching = Fetching(ann, eve, old := share_game(ann, large=12 << 20))
    share_game(ben, large=12 << 20, seed=2)  # every byte is another one
    (ben.games / "quake/version.ini").write_text("2.0\n")
    ann.wait_games(lambda games: games["quake"]["latest_version"] == "2.0" and games["quake"]["sources"] == 1)
    ann.cli("update", "quake")
    fetching.assert_in_the_middle()
    new = ann.list_games()["quake"]["content"]
    assert new != old and tree(ann.games / "quake") == tree(ben.games / "quake")
    # The old content's torrent is gone, the new one's is there: who fetches that, gets it.
    wait_torrent(ann, new, lambda torrent: torrent["state"] == "seeding")
    assert old not in torrents_of(ann)
    fetched = eve.folder / "new"
    fetched.mkdir()
    tell(fetching.process, add=ann.cli("share", "quake")["torrent"], into=str(fetched), peers=[torrent_address(ann)])
    hear(fetching.process, "finished")
    assert tree(fetched / "quake") == tree(ben.games / "quake")


@needs_stranger
def test_a_game_is_removed_while_a_stranger_fetches_it(lab):
    ann, eve = torrent_peer(lab.host("ann")), lab.host("eve")
    fetching = Fetching(ann, eve, content := share_game(ann, large=12 << 20))
    ann.cli("remove", "quake")
    assert not (ann.games / "quake/data").exists()
    fetching.assert_in_the_middle()
    ann.wait_until(lambda: content not in torrents_of(ann), what="the torrent to leave")
    assert "storage" not in ann.status()["torrent"]["health"]["degraded"]


# ---- Peers of the hall ------------------------------------------------------------------------------------------

def without_lsd(*daemons):
    """Nobody but us introduces these."""
    for daemon in daemons:
        daemon.cli("torrent", "configure", "--set", "lsd=false")


@pytest.mark.parametrize("family", ["IPv4", "IPv6"])
def test_where_another_program_has_the_port_of_one_family_peers_are_told_the_other(lab, family):
    host = lab.host("ann")
    other = lab.start([sys.executable, "-c", "import signal, socket\n"
                       "s = socket.create_server(('0.0.0.0', 47778))\nprint('it listens', flush=True)\nsignal.pause()"],
                      host.namespace, stdout=subprocess.PIPE, text=True)
    other.stdout.readline()
    ann = torrent_peer(host)

    def ports():
        return {address.startswith("["): address.rsplit(":", 1)[1]
                for address in ann.cli("torrent", "inspect")["listen"]}

    wait_for(lambda: len(ports()) == 2, what="the engine to listen at both families")
    assert ports()[True] == "47778" != ports()[False]
    address = host.address if family == "IPv4" else f"[{host.address6}]"
    ben = lab.host("ben").daemon(arguments=["--swarm", "lan", "--no-discovery", "--peer",
                                            f"{address}:{ann.address.rsplit(':', 1)[1]}"])
    without_lsd(ann, wait_listening(ben))
    content = share_game(ann)
    wait_torrent(ann, content, lambda torrent: torrent["state"] == "seeding")
    ben.wait_games(lambda games: games["quake"]["sources"] == 1 and games["quake"]["content"])
    assert ben.list_peers()[ann.peer_id]["address"].startswith(address)
    ben.cli("get", "quake", "--engine", "swarm")
    assert tree(ben.games / "quake") == tree(ann.games / "quake")
    assert ben.status()["received"] == 0


def test_a_peer_that_could_not_be_dialled_for_long_is_dialled_again(lab):
    """libtorrent gives a peer up after three dials in vain. It is offered again and again, so this one is not."""
    ann, ben = torrent_peer(lab.host("ann")), torrent_peer(lab.host("ben"))
    without_lsd(ann, ben)
    content = share_game(ann)
    wait_torrent(ann, content, lambda torrent: torrent["state"] == "seeding")
    ben.wait_games(lambda games: games["quake"]["sources"] == 1 and games["quake"]["content"])
    port = ann.status()["torrent"]["port"]
    for rule in ("table inet wall", "counter inet wall dials",
                 "chain inet wall entry { type filter hook input priority 0; }",
                 f"rule inet wall entry tcp dport {port} tcp flags syn counter name dials reject with tcp reset"):
        ann.host.run("nft", "add " + rule)
    ben.cli("get", "quake", "--engine", "swarm", "--no-wait")

    def dials():
        return int(re.search(r"packets (\d+)", ann.host.run("nft", "list counter inet wall dials"))[1])

    wait_for(lambda: dials() > 3, 120, "a fourth dial")
    ann.host.run("nft", "delete table inet wall")
    ben.wait_event("download_finished", timeout=60)
    assert tree(ben.games / "quake") == tree(ann.games / "quake")
