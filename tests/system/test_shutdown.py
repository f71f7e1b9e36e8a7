"""The end: of a busy peer at any moment, and every thread in `lanspread tasks`."""

import os
import pathlib
import random

import pytest

from lanlab import make_tree


def busy_party(lab, tmp_path):
    """Three peers; Ann and Ben have a game, over cables that make it last."""
    ann, ben, cem = (lab.host(name, rate=40_000_000).daemon() for name in ("ann", "ben", "cem"))
    for number, daemon in enumerate((ann, ben)):
        make_tree(tmp_path / str(number), large=64 << 20).rename(daemon.games / "quake")
        (daemon.games / "quake/version.ini").write_text("1.0\n")
    cem.wait_games(lambda games: games["quake"]["sources"] == 2 and games["quake"]["content"])
    cem.cli("get", "quake", "--no-wait")
    return ann, ben, cem


def terminate_at_random(lab, tmp_path, rounds):
    """SIGTERM for one of three at a moment that a random number of events away; it comes back."""
    choice = random.Random(7)
    daemons = busy_party(lab, tmp_path)
    for _ in range(rounds):
        leaving = choice.choice(daemons)
        others = [daemon for daemon in daemons if daemon is not leaving]
        for daemon in others:
            daemon.wait_peers(2)
        cem, start = daemons[2], daemons[2].mark()
        if cem.list_games()["quake"]["operation"] == "downloading" and leaving is not cem:
            steps = choice.randrange(1, 8)
            cem.wait_until(lambda start=start, steps=steps: cem.mark() >= start + steps, what="some events")
        marks = {daemon: daemon.mark() for daemon in others}
        children = [int(word) for path in pathlib.Path(f"/proc/{leaving.pid}/task").glob("*/children")
                    for word in path.read_text().split()]
        peer_id = leaving.peer_id
        code, seconds = leaving.stop()
        assert code == 0, leaving.log.read_text()[-2000:]
        assert seconds < 2
        for daemon in others:
            gone = daemon.wait_event("peer_disconnected", since=marks[daemon], peer=peer_id)
            assert gone["reason"] == "goodbye"
        assert not [pid for pid in children if pathlib.Path(f"/proc/{pid}").exists()]
        assert not leaving.control.exists()
        assert not list(leaving.state.rglob("*.tmp"))
        leaving.start()
        if cem.list_games()["quake"]["availability"] == "downloaded":
            cem.cli("remove", "quake")
            cem.wait_games(lambda games: games["quake"]["sources"] == 2)
            cem.cli("get", "quake", "--no-wait")


def test_twenty_sigterms_at_random_moments_of_a_busy_party(lab, tmp_path):
    terminate_at_random(lab, tmp_path, 20)


@pytest.mark.soak
def test_two_hundred_sigterms_at_random_moments_of_a_busy_party(lab, tmp_path):
    terminate_at_random(lab, tmp_path, 200)


def test_every_thread_of_a_busy_peer_is_in_tasks(lab, tmp_path):
    for daemon in busy_party(lab, tmp_path):
        before = {int(name) for name in os.listdir(f"/proc/{daemon.pid}/task")}
        tasks = daemon.cli("tasks")["tasks"]
        after = {int(name) for name in os.listdir(f"/proc/{daemon.pid}/task")}
        listed = {task["tid"] for task in tasks}
        assert before & after <= listed, tasks
        assert all(task["name"] for task in tasks)
