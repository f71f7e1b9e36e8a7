"""Who is who: keys that are copied, changed, forged."""

import shutil
import subprocess
import sys

import lanlab
from lanlab import make_tree, tree

MDNS = lanlab.ROOT / "tests/system/mdns.py"


def clone_of(original, host, **options):
    """A daemon on another host whose state folder is a copy of the original's, as on a cloned disk."""
    clone = host.daemon(start=False, **options)
    shutil.copytree(original.state, clone.state, ignore=shutil.ignore_patterns("*.sock", "lock"))
    return clone.start()


def said_cloned(event):
    return "cloned" in event["message"] and "identity rotate" in event["message"]


def test_a_cloned_disk_is_noticed_by_a_third_peer_and_rotate_is_the_way_out(lab):
    ann, cem = lab.host("ann").daemon(), lab.host("cem").daemon()
    cem.wait_peers(1)
    other = clone_of(ann, lab.host("ben"))
    assert other.peer_id == ann.peer_id
    cem.wait_event("warning", where=said_cloned)
    assert len(cem.wait_peers(1)) == 1, "the first one stays"
    assert ann.peer_id in cem.list_peers()
    other.cli("identity", "rotate")
    assert other.stop()[0] == 0
    mark = cem.mark()
    other.start()
    assert other.peer_id != ann.peer_id
    assert cem.wait_event("peer_connected", since=mark)["peer"]["id"] == other.peer_id
    assert len(cem.wait_peers(2)) == 2


def test_two_clones_alone_on_a_lan_notice_each_other(lab):
    ann = lab.host("ann").daemon()
    other = clone_of(ann, lab.host("ben"))
    for daemon in (ann, other):
        daemon.wait_event("warning", where=said_cloned)
        assert not [peer for peer in daemon.list_peers().values() if peer["connected"]]
    assert other.cli("status")["peer_id"] == ann.peer_id


def test_a_clone_that_is_dialled_by_hand_is_refused_with_the_way_out(lab):
    ann = lab.host("ann").daemon(arguments=["--no-discovery"])
    other = clone_of(ann, lab.host("ben"), arguments=["--no-discovery", "--peer", ann.address])
    refused = other.wait_event("peer_disconnected", reason="refused")
    assert "cloned" in refused["message"] and "identity rotate" in refused["message"]


def test_an_announced_id_that_the_handshake_contradicts_is_refused_with_a_clear_line(lab):
    ann, ben, eve = lab.host("ann").daemon(), lab.host("ben").daemon(), lab.host("eve")
    ben.wait_peers(1)
    wrong = "ee" * 32
    lab.start([sys.executable, MDNS, eve.address, "announce", "Forged 000000000000", wrong, ann.host.address,
               ann.address.rsplit(":", 1)[1]], eve.namespace, stdout=subprocess.DEVNULL)
    refused = ben.wait_event("peer_disconnected", reason="refused")
    assert ann.peer_id[:8] in refused["message"] and wrong[:8] in refused["message"]
    ben.wait_event("warning", where=lambda event: "is refused" in event["message"])
    assert wrong not in ben.list_peers()
    assert ben.list_peers()[ann.peer_id]["connected"], "the peer whose address was abused stays"


def test_an_announcement_of_a_known_peer_at_another_address_moves_no_trust(lab, tmp_path):
    """Eve says that Ann is at Eve's address. Ann stays who she is, and games come from her alone."""
    ann, ben = lab.host("ann").daemon(), lab.host("ben").daemon()
    host = lab.host("eve")
    eve = host.daemon()
    make_tree(tmp_path / "quake", large=4 << 20).rename(ann.games / "quake")
    (ann.games / "quake/version.ini").write_text("1.0\n")
    ben.wait_peers(2)
    forger = lab.start([sys.executable, MDNS, host.address, "announce", f"ann {ann.peer_id[:12]}", ann.peer_id,
                        host.address, eve.address.rsplit(":", 1)[1], "stolen.local"], host.namespace,
                       stdout=subprocess.PIPE, text=True)
    assert forger.stdout.readline(), "it sent nothing"
    # Who is found after that shows that Ben has heard the lie, too.
    lab.host("dan").daemon()
    ben.wait_peers(3)
    ben.wait_games(lambda games: games["quake"]["sources"] == 1 and games["quake"]["content"])
    ben.cli("get", "quake")
    assert tree(ben.games / "quake") == tree(ann.games / "quake")
    peers = ben.list_peers()
    assert peers[ann.peer_id]["connected"]
    assert not peers[ann.peer_id]["address"].startswith((host.address, f"[{host.address6}]"))
    assert peers[eve.peer_id]["connected"] and peers[eve.peer_id]["received"] == 0


def rotate(daemon):
    """It comes back with another key. Returns the id that it had."""
    before = daemon.peer_id
    daemon.cli("identity", "rotate")
    assert daemon.stop()[0] == 0
    daemon.start()
    assert daemon.peer_id != before
    return before


def test_a_rotated_key_is_a_new_peer_and_the_old_pin_refuses_it(lab):
    ann = lab.host("ann").daemon(arguments=["--no-discovery", "--listen", "40000"])
    ben = lab.host("ben").daemon(arguments=["--no-discovery", "--peer", f"{ann.address}#{ann.peer_id}"])
    ben.wait_peers(1)
    before = rotate(ann)
    refused = ben.wait_event("peer_disconnected", reason="refused", timeout=60)
    assert before[:8] in refused["message"] and ann.peer_id[:8] in refused["message"]
    assert "peers forget" not in refused["message"], "it was the user who said who is there"


def test_a_new_key_where_an_address_alone_was_given_is_refused_until_the_old_one_is_forgotten(lab):
    ann = lab.host("ann").daemon(arguments=["--no-discovery", "--listen", "40000"])
    ben = lab.host("ben").daemon(arguments=["--no-discovery", "--peer", ann.address])
    ben.wait_peers(1)
    before = rotate(ann)
    refused = ben.wait_event("peer_disconnected", reason="refused", timeout=60)
    assert before[:8] in refused["message"] and f"peers forget {before[:16]}" in refused["message"]
    mark = ben.mark()
    ben.cli("peers", "forget", before[:16])
    assert ben.wait_event("peer_connected", since=mark)["peer"]["id"] == ann.peer_id
