"""What no honest peer says, over a real connection to a real daemon; and links that fail."""

import subprocess
import sys

import pytest

import lanlab
from hostile import Hostile, break_rule
from lanlab import Lab, make_tree, tree


def share(daemon, game, folder, version="1.0"):
    folder.rename(daemon.games / game)
    (daemon.games / game / "version.ini").write_text(version + "\n")
    return tree(daemon.games / game)


# One daemon for all cases: each must leave it as it was for the next.
@pytest.fixture(scope="module")
def victim(tmp_path_factory):
    with Lab() as lab:
        ann, ben = lab.host("ann").daemon(), lab.host("ben").daemon()
        share(ann, "quake", make_tree(tmp_path_factory.mktemp("game") / "quake", large=2 << 20, small=5))
        ben.wait_games(lambda games: games["quake"]["sources"] == 1 and games["quake"]["content"])
        yield ann, ben, lab.host("eve")


RULES = {
    "frame-zero": "length 0", "frame-large": "1048577", "frame-huge": "4294967295", "deep": "nested deeper",
    "duplicate": "duplicate", "nul": "u0000", "negative": "whole number", "infinite": "overflow", "huge-number": "too big",
    "streams": "streams", "second-hello": "Hello", "garbage": "",
}


@pytest.mark.parametrize("rule", [*RULES, "wrong-state --early", "slow --seconds 25"])
def test_who_breaks_a_rule_is_dropped_and_others_are_not(victim, rule):
    ann, ben, eve = victim
    mark, before = ben.mark(), ann.memory()
    name, *options = rule.split()
    result = break_rule(eve, name, ann, *options)
    assert result["closed"] and result["by_peer"] and result["reason"] == "protocol", result
    assert RULES.get(name, "") in result["message"], result
    if name == "slow":
        assert result["seconds"] < 13  # the deadline of a request is 10 s, looked at every half second
    assert ann.memory() < before + (16 << 20)
    assert ben.count_events("peer_disconnected", since=mark) == 0
    assert ann.list_peers()[ben.peer_id]["connected"]


def test_the_victim_still_serves_after_all_of_that(victim):
    ann, ben, _ = victim
    ben.cli("get", "quake")
    assert tree(ben.games / "quake") == tree(ann.games / "quake")
    assert ann.status()["health"]["state"] == "ok"
    assert len(ann.list_peers()) - sum(peer["connected"] for peer in ann.list_peers().values()) < 40


def test_a_peer_that_never_reads_stalls_only_itself(lab, tmp_path):
    ann, ben = lab.host("ann").daemon(), lab.host("ben").daemon()
    wanted = share(ann, "quake", make_tree(tmp_path / "quake", large=64 << 20, small=5))
    ben.wait_games(lambda games: games["quake"]["sources"] == 1 and games["quake"]["content"])
    before = ann.memory()
    greedy = Hostile(lab.host("eve"), "greedy", "quake", [ann, ben])
    greedy.wait("up")
    ben.cli("get", "quake")
    assert tree(ben.games / "quake") == wanted
    assert ann.memory() < before + (192 << 20)
    greedy.stop()


def test_a_partition_that_heals_goes_on_and_fetches_no_chunk_twice(lab, tmp_path):
    ann, ben = lab.host("ann", rate=100_000_000), lab.host("ben")
    a, b = ann.daemon(), ben.daemon()
    wanted = share(a, "quake", make_tree(tmp_path / "quake", large=32 << 20))
    b.wait_games(lambda games: games["quake"]["sources"] == 1 and games["quake"]["content"])
    b.cli("get", "quake", "--no-wait")
    b.wait_event("download_progress", where=lambda event: event["done"] > event["total"] / 3)
    mark = b.mark()
    ben.lose(100)
    assert b.wait_event("peer_disconnected", since=mark, timeout=10)["reason"] == "lost"
    b.wait_event("download_all_peers_gone", since=mark)
    a.wait_event("peer_disconnected", timeout=10)
    ben.lose(0)
    b.wait_event("download_finished", since=mark, timeout=60)
    assert tree(b.games / "quake") == wanted
    total = sum(path.stat().st_size for path in (a.games / "quake").rglob("*") if path.is_file())
    assert a.status()["sent"] <= total + (4 << 20)


def test_one_packet_in_five_lost_at_mtu_1280_still_delivers(tmp_path):
    with Lab(mtu=1280) as lab:
        ann, ben = lab.host("ann"), lab.host("ben")
        a, b = ann.daemon(), ben.daemon()
        wanted = share(a, "quake", make_tree(tmp_path / "quake", large=1 << 20, small=10))
        b.wait_games(lambda games: games["quake"]["sources"] == 1 and games["quake"]["content"])
        ben.lose(20)
        b.cli("get", "quake", timeout=240)
        assert tree(b.games / "quake") == wanted


FLOOD = """
import socket, sys
target, port, empty = sys.argv[1], int(sys.argv[2]), sys.argv[3] == "empty"
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.connect((target, port))
import os, threading
print("flooding", flush=True)
pause = threading.Event()
while True:
    for _ in range(200):
        try:
            s.send(b"" if empty else b"\\xc0\\0\\0\\0\\1" + os.urandom(1195))
        except OSError:
            pass
    pause.wait(0.005)
"""


@pytest.mark.parametrize("kind", ["empty", "initials"])
def test_a_flood_of_datagrams_costs_nobody_his_connection(lab, tmp_path, kind):
    ann, ben, eve = lab.host("ann", rate=200_000_000).daemon(), lab.host("ben").daemon(), lab.host("eve")
    wanted = share(ann, "quake", make_tree(tmp_path / "quake", large=24 << 20))
    ben.wait_games(lambda games: games["quake"]["sources"] == 1 and games["quake"]["content"])
    mark, before = ben.mark(), ann.memory()
    address, port = ann.address.rsplit(":", 1)
    flood = lab.start([sys.executable, "-c", FLOOD, address, port, kind], eve.namespace, stdout=subprocess.PIPE, text=True)
    assert flood.stdout.readline()
    ben.cli("get", "quake")
    flood.kill()
    assert tree(ben.games / "quake") == wanted
    assert ben.count_events("peer_disconnected", since=mark) == 0
    assert ann.memory() < before + (64 << 20)
