"""Packets: floods of first ones, a kernel that refuses to handle many at once, cables that take less or more of them."""

import re
import time

import pytest

import lanlab
from hostile import Spoofer
from lanlab import BUILD, Lab, make_tree, share, tree


ETHERNET = 14  # bytes of its header


def offered(daemon):
    daemon.wait_games(lambda games: games["quake"]["sources"] == 1 and games["quake"]["content"], timeout=60)


# ---- Floods of Initials -------------------------------------------------------------------------------

class RetryCount:
    """Counts the Retry packets that leave a daemon for others: a long header with both bits of its type set."""

    def __init__(self, daemon, others):
        self.daemon, port = daemon, daemon.address.rsplit(":", 1)[1]
        rules = "".join(f"counter {other.name} {{ }}\n" for other in others) + \
            "chain out { type filter hook output priority 0;\n" + "".join(
                f"ip daddr {other.address} udp sport {port} @th,64,4 0xf counter name {other.name}\n"
                for other in others) + "}\n"
        (daemon.host.folder / "retries.nft").write_text(f"table inet retries {{\n{rules}}}\n")
        daemon.host.run("nft", "-f", daemon.host.folder / "retries.nft")

    def of(self, host):
        text = self.daemon.host.run("nft", "list", "counter", "inet", "retries", host.name)
        return int(re.search(r"packets (\d+)", text)[1])

    def is_asked_of(self, newcomer):
        """Whether a daemon that comes anew, and gets in, has to answer one."""
        before = self.of(newcomer.host)
        newcomer.restart()
        self.daemon.wait_until(lambda: self.daemon.list_peers().get(newcomer.peer_id, {}).get("connected"), timeout=60,
                               what=newcomer.name)
        return self.of(newcomer.host) > before


def try_until(condition, what):
    deadline = time.monotonic() + 90
    while not condition():
        assert time.monotonic() < deadline, what


def test_a_flood_of_spoofed_initials_is_answered_by_retry_and_newcomers_get_in_until_it_is_over(tmp_path):
    with Lab(discovery=False) as lab:
        ann, eve = lab.host("ann").daemon(), lab.host("eve")
        wanted = share(ann, "quake", make_tree(tmp_path / "quake", large=4 << 20, small=5))
        ben, cem = lab.host("ben").daemon(), lab.host("cem").daemon(start=False)
        offered(ben)
        retries = RetryCount(ann, [cem.host])
        mark, before, wire = ben.mark(), ann.memory(), eve.sent_and_received()
        flood = Spoofer(eve, ann, rate=2000)
        lanlab.wait_for(lambda: flood.totals() and flood.totals()["retries"] > 100 and flood.totals()["worst"] > 1,
                        what="Retry, and for others a handshake's packets once more")
        # Who comes now proves where he is, and gets in.
        try_until(lambda: retries.is_asked_of(cem), "nobody has to prove anything")
        offered(cem)
        cem.cli("get", "quake")
        assert tree(cem.games / "quake") == wanted
        assert ben.count_events("peer_disconnected", since=mark) == 0
        assert ann.memory() < before + (64 << 20)
        totals = flood.stop()
        # No address got more than three times what came from there, in datagrams and on the wire.
        assert totals["handshakes"] > 0 and 1 < totals["worst"] <= 3, totals
        sent, received = (now - then for now, then in zip(eve.sent_and_received(), wire))
        assert totals["received"] < received <= 3 * sent
        # When the handshakes that nobody goes on with are given up, it is over.
        try_until(lambda: not retries.is_asked_of(cem), "it goes on after the flood")


# ---- Offloads -----------------------------------------------------------------------------------------

REFUSALS = {"options": "the kernel refuses UDP_SEGMENT and UDP_GRO", "sending": "the kernel refuses UDP_SEGMENT:"}


@pytest.mark.parametrize("when", REFUSALS)
def test_a_kernel_that_refuses_batches_is_told_of_once_and_the_game_arrives(lab, tmp_path, when):
    refusing = {"LD_PRELOAD": str(BUILD / "tests/system/refuse.so"), "LANSPREAD_REFUSE": when}
    ann, ben = lab.host("ann").daemon(env=refusing), lab.host("ben").daemon()
    wanted = share(ann, "quake", make_tree(tmp_path / "quake", large=24 << 20, small=20))
    offered(ben)
    ben.cli("get", "quake")
    assert tree(ben.games / "quake") == wanted
    assert ann.log.read_text().count(REFUSALS[when]) == ann.log.read_text().count("the kernel refuses") == 1
    assert "the kernel refuses" not in ben.log.read_text()


# ---- What cables take ---------------------------------------------------------------------------------

# Of the cables of the hosts, of the one between the switches, and what the packets of a game have on average then
# (1228: nothing was discovered).
PATHS = {"a black hole in the middle": (1500, 1400, 1250, 1400), "jumbo frames": (9000, 9000, 5000, 9000)}


@pytest.mark.parametrize("path", PATHS)
def test_packets_become_as_large_as_the_path_takes(tmp_path, path):
    ends, middle, least, most = PATHS[path]
    with Lab(mtu=ends) as lab:
        lab.join_switches("left", "right", mtu=middle)
        here, there = lab.host("ann", switch="left"), lab.host("ben", switch="right")
        here.segment_early()
        ann, ben = here.daemon(), there.daemon()
        wanted = share(ann, "quake", make_tree(tmp_path / "quake", large=8 << 20, small=5))
        offered(ben)

        def come_in_large_packets():
            before = there.traffic()["rx"]
            ben.cli("get", "quake")
            now = there.traffic()["rx"]
            assert tree(ben.games / "quake") == wanted
            ben.cli("remove", "quake")
            offered(ben)
            size = (now["bytes"] - before["bytes"]) / (now["packets"] - before["packets"]) - ETHERNET
            return least < size <= most

        try_until(come_in_large_packets, "they stay small")
