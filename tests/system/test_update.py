"""Updates: what a change costs on the wire, and what becomes of the game."""

import os
import random

import pytest

from lanlab import make_file, tree

BLOCK = 16 << 10  # the leaf of a file's hash tree


def change_clustered(path):
    """One run of one hundredth of the file, in place."""
    size = path.stat().st_size
    with open(path, "r+b") as file:
        file.seek(size // 3 // 4096 * 4096)
        file.write(random.Random(11).randbytes(size // 100))


def change_scattered(path):
    """One hundredth of its blocks, each for itself, all over it."""
    blocks = path.stat().st_size // BLOCK
    source = random.Random(12)
    with open(path, "r+b") as file:
        for block in source.sample(range(blocks), blocks // 100):
            file.seek(block * BLOCK)
            file.write(source.randbytes(BLOCK))


def share_first(daemon, size):
    """A game of one file of that size, and of what else a game has."""
    folder = daemon.games / "quake"
    make_file(folder / "data/game.pak", size, 21)
    make_file(folder / "readme.txt", 3000, 22)
    (folder / "version.ini").write_text("1.0\n")


def update_costs(lab, size, change, patience, holders):
    """Bytes that an update received: payload by the daemon's own count, and on the wire."""
    others, ben = [lab.host(name).daemon() for name in ("ann", "cem")[:holders]], lab.host("ben").daemon()
    for other in others:
        share_first(other, size)
    ben.wait_games(lambda games: games["quake"]["sources"] == holders and games["quake"]["content"], timeout=patience)
    ben.cli("install", "quake", timeout=patience)
    (ben.games / "quake/local/save.dat").write_text("forty hours")
    for other in others:
        change(other.games / "quake/data/game.pak")
        (other.games / "quake/version.ini").write_text("1.1\n")
    ben.wait_games(lambda games: games["quake"]["latest_version"] == "1.1" and games["quake"]["sources"] == holders and
                   games["quake"]["variants"] == 1, timeout=patience)
    ann = others[0]
    payload, wire = ben.status()["received"], ben.host.sent_and_received()[1]
    result = ben.cli("update", "quake", timeout=patience)
    payload, wire = ben.status()["received"] - payload, ben.host.sent_and_received()[1] - wire
    assert result["game"]["local_version"] == "1.1" and result["game"]["availability"] == "installed"
    wanted = tree(ann.games / "quake")
    assert tree(ben.games / "quake") == wanted
    installed = tree(ben.games / "quake/local", without=())
    assert installed.pop("save.dat") and installed == wanted
    return payload, wire


def check_share(lab, size, change, patience=60, holders=1):
    payload, wire = update_costs(lab, size, change, patience, holders)
    print(f"{payload} bytes of payload and {wire} on the wire for {size // 100} changed of {size}: "
          f"{payload / size:.2%} and {wire / size:.2%}")
    assert size // 100 <= payload < size * 3 // 100
    assert wire < size * 3 // 100


CHANGES = pytest.mark.parametrize("change", [change_clustered, change_scattered])


@CHANGES
def test_one_percent_changed_in_place_transfers_less_than_three(lab, change):
    check_share(lab, 256 << 20, change)


def test_one_percent_from_two_holders_is_fetched_once(lab):
    check_share(lab, 256 << 20, change_scattered, holders=2)


@pytest.mark.soak
@CHANGES
def test_one_percent_of_four_gibibytes_transfers_less_than_three(lab, change):
    check_share(lab, 4 << 30, change, patience=900)


def test_a_game_that_was_just_copied_in_is_updated_from_what_is_there(lab):
    ann, ben = lab.host("ann").daemon(), lab.host("ben").daemon(start=False)
    share_first(ann, 64 << 20)
    share_first(ben, 64 << 20)
    change_clustered(ann.games / "quake/data/game.pak")
    (ann.games / "quake/version.ini").write_text("1.1\n")
    ann.wait_games(lambda games: games["quake"]["content"])
    ben.start()
    # Its files are too young for the library, which would hash them two seconds from now.
    os.utime(ben.games / "quake/readme.txt")
    ben.wait_games(lambda games: games["quake"]["sources"] == 1 and games["quake"]["latest_version"] == "1.1")
    assert ben.cli("update", "quake")["game"]["local_version"] == "1.1"
    assert tree(ben.games / "quake") == tree(ann.games / "quake")
    assert not list((ben.games / "quake").glob("local.kept-*"))
    assert ben.status()["received"] < (64 << 20) * 3 // 100


def test_a_folder_that_is_updated_serves_what_it_announced_or_fails_cleanly(lab):
    ann, cem = lab.host("ann", rate=60_000_000).daemon(), lab.host("cem").daemon()
    size = 24 << 20
    share_first(ann, size)
    cem.wait_games(lambda games: games["quake"]["sources"] == 1 and games["quake"]["content"])
    first = cem.list_games()["quake"]["content"]
    cem.cli("get", "quake", "--no-wait")
    cem.wait_event("download_progress", where=lambda event: event["done"] > size / 8)
    ben = lab.host("ben").daemon(start=False)
    share_first(ben, size)
    change_scattered(ben.games / "quake/data/game.pak")
    (ben.games / "quake/version.ini").write_text("1.1\n")
    ben.start()
    newest = tree(ben.games / "quake")
    ann.wait_games(lambda games: games["quake"]["latest_version"] == "1.1")
    ann.cli("update", "quake")
    assert tree(ann.games / "quake") == newest
    # Nobody sent a wrong byte: Cem has the old version whole, or waits for somebody who has it.
    game = cem.wait_games(lambda games: games["quake"]["availability"] == "downloaded" or games["quake"]["waiting"])["quake"]
    assert not [daemon.name for daemon in (ann, ben, cem) if daemon.count_events("chunk_rejected")]
    if game["waiting"]:
        assert not (cem.games / "quake/version.ini").exists()
        cem.cli("cancel", "quake")
        cem.wait_games(lambda games: games["quake"]["operation"] == "none")
        cem.cli("get", "quake")
    else:
        assert game["content"] == first or game["local_version"] == "1.0"
        cem.cli("update", "quake")
    assert tree(cem.games / "quake") == newest
    assert not [daemon.name for daemon in (ann, ben, cem) if daemon.count_events("chunk_rejected")]
