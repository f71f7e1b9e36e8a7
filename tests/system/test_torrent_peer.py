"""What the torrent engine may not do to the games, by whatever name it is told, and what outlasts a session of it."""

import pytest

from lanlab import Lab, tree
from test_torrent import pytestmark, share_game, torrent_peer, torrents_of, wait_listening, wait_torrent  # noqa: F401
from test_torrent_wrong import refused


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
                      ("options", name, "--set", "seed_remove_data=true")):
            assert "its files are those of the game quake" in refused(ann, "torrent", *words), words
    assert tree(ann.games / "quake") == before and not (tmp_path / "into").exists()
    assert wait_torrent(ann, one["id"], lambda torrent: torrent["state"] == "seeding")
    # What nobody knows is no way around that.
    assert "there is no torrent" in refused(ann, "torrent", "remove", v1[::-1], "--data")


def test_what_was_removed_by_its_v1_hash_is_not_seeded_again(ann):
    content = share_game(ann, large=1 << 16)
    shared = ann.cli("share", "quake", "--hybrid")
    one = wait_torrent(ann, shared["id"], lambda torrent: torrent["state"] == "seeding")
    assert ann.run_cli("torrent", "remove", one["info_hash_v1"]).stdout == "removed\n"
    ann.restart()
    wait_listening(ann)
    wait_torrent(ann, content, lambda torrent: torrent["state"] == "seeding")
    assert shared["id"] not in torrents_of(ann)
    assert "quake" in ann.list_games()
