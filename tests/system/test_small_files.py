"""Many small files go in runs, not one by one: nothing of a download may wait for each of them."""

import pathlib
import shutil
import tempfile
import time

import pytest

from lanlab import Lab, make_file, tree

pytestmark = pytest.mark.alone

COUNT, EACH = 4000, 4096


@pytest.fixture
def memory():
    """A folder in memory: the disk of a shared machine makes files as fast as its neighbours let it."""
    shm = pathlib.Path("/dev/shm")
    folder = pathlib.Path(tempfile.mkdtemp(prefix="lanlab-", dir=shm if shm.is_dir() else None))
    yield folder
    shutil.rmtree(folder)


def seconds(daemon, game):
    begun = time.monotonic()
    daemon.cli("get", game)
    return time.monotonic() - begun


def test_small_files_take_at_most_twice_the_time_of_one_large_one(memory):
    source = memory / "ann"
    for number in range(COUNT):
        make_file(source / f"many/{number % 50}/{number}.dat", EACH, number)
    make_file(source / "one/file.bin", COUNT * EACH, 0)
    for game in ("many", "one"):
        (source / game / "version.ini").write_text("1\n")
    with Lab(rate=50_000_000) as lab:
        lab.host("ann").daemon(games=source)
        ben = lab.host("ben").daemon(games=memory / "ben")
        ben.wait_games(lambda games: all(games[game]["sources"] == 1 and games[game]["content"]
                                         for game in ("many", "one")))
        large, small = seconds(ben, "one"), seconds(ben, "many")
    assert tree(memory / "ben/many") == tree(source / "many")
    print(f"{COUNT} files of {EACH} bytes in {small:.2f} s, one of the same size in {large:.2f} s")
    assert small <= 2 * large
