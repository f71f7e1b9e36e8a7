"""The swarm with real daemons: each host's cable shaped, figures printed beside what cannot be beaten."""

from hostile import Hostile
from lanlab import make_tree, tree

MIB = 1 << 20
KINDS = ("poison", "missing", "stall", "trickle", "reset")


def share(daemon, game, folder, version="1.0"):
    """A game of that daemon's, laid there as a user would."""
    target = daemon.games / game
    folder.rename(target)
    (target / "version.ini").write_text(version + "\n")
    return tree(target)


def test_five_of_six_sources_are_hostile_and_it_arrives_byte_for_byte(lab, tmp_path):
    ann, ben = lab.host("ann", rate=200_000_000).daemon(), lab.host("ben").daemon()
    wanted = share(ann, "quake", make_tree(tmp_path / "quake", large=64 * MIB, small=20))
    ben.wait_games(lambda games: games["quake"]["sources"] == 1 and games["quake"]["content"])
    company = [Hostile(lab.host(f"evil{i}"), kind, "quake", [ann, ben]) for i, kind in enumerate(KINDS)]
    flooder = Hostile(lab.host("flooder"), "flood", "quake", [ann])
    for evil in company:
        evil.wait("claimed", 2)
    ben.wait_games(lambda games: games["quake"]["sources"] == 6)
    ben.cli("get", "quake", timeout=240)
    assert tree(ben.games / "quake") == wanted
    for evil in company:
        assert evil.stop()["asked"] > 0, evil.kind
    assert flooder.stop()["received"] > 0
    blamed = {event["peer"] for event in ben.events if event["event"] == "chunk_rejected"}
    assert blamed and ann.peer_id not in blamed
    assert ben.count_events("download_failed") == 0
    assert ann.count_events("peer_disconnected", peer=ben.peer_id) == 0
