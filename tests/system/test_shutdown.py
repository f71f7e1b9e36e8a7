"""The end: of a busy peer at any moment, and every thread in `lanspread tasks`."""

import fcntl
import os
import pathlib
import random

import pytest

from lanlab import make_tree

pytestmark = pytest.mark.alone


def busy_party(lab, tmp_path):
    """Three peers; Ann and Ben have a game, over cables that make it last; Cem fetches it."""
    ann, ben, cem = (lab.host(name, rate=40_000_000).daemon() for name in ("ann", "ben", "cem"))
    for number, daemon in enumerate((ann, ben)):
        make_tree(tmp_path / str(number), large=64 << 20).rename(daemon.games / "quake")
        (daemon.games / "quake/version.ini").write_text("1.0\n")
    cem.wait_games(lambda games: games["quake"]["sources"] == 2 and games["quake"]["content"])
    cem.cli("get", "quake", "--no-wait")
    return ann, ben, cem


def keep_busy(cem):
    """Until bytes come in from both; fetches the game anew when it is whole."""
    while True:
        mark = cem.mark()
        if cem.list_games()["quake"]["availability"] == "downloaded":
            cem.cli("remove", "quake")
            cem.wait_games(lambda games: games["quake"]["sources"] == 2 and games["quake"]["operation"] == "none")
            cem.cli("get", "quake", "--no-wait")
        if cem.wait_any(("download_progress", "download_finished"), since=mark)["event"] == "download_progress":
            return


def leftovers(daemon, children):
    """What a daemon that ended must not leave: processes, sockets, locks that are held, temporary files."""
    found = [f"process {pid}" for pid in children if pathlib.Path(f"/proc/{pid}").exists()]
    found += [str(path) for folder in (daemon.folder, daemon.state) for path in folder.iterdir() if path.is_socket()]
    found += [str(path) for path in daemon.state.rglob("*") if path.suffix in (".tmp", ".new") or ".tmp" in path.name]
    for path in (*daemon.state.rglob("*lock*"), *daemon.folder.glob("*.lock"), *daemon.games.glob(".lanspread/*lock*")):
        with open(path, "rb") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                found.append(f"lock {path}")
    return found


def terminate_at_random(lab, tmp_path, rounds):
    """
    SIGTERM at a moment that a random number of events away, under load: in turn for a sender and for the
    receiver. Every one is a Goodbye in the events and the logs of the other two, none a lost connection.
    """
    choice = random.Random(7)
    daemons = busy_party(lab, tmp_path)
    cem, slowest = daemons[2], 0.0
    goodbyes = {daemon: 0 for daemon in daemons}
    for number in range(rounds):
        leaving = cem if number % 2 else choice.choice(daemons[:2])
        others = [daemon for daemon in daemons if daemon is not leaving]
        for daemon in daemons:
            daemon.wait_peers(2)
        keep_busy(cem)
        start, steps = cem.mark(), choice.randrange(0, 8)
        cem.wait_until(lambda start=start, steps=steps: cem.mark() >= start + steps or
                       cem.count_events("download_finished", since=start), what="some events")
        marks = {daemon: daemon.mark() for daemon in others}
        children, peer_id = leaving.children(), leaving.peer_id
        code, seconds = leaving.stop()
        slowest = max(slowest, seconds)
        assert code == 0, leaving.log.read_text()[-2000:]
        assert seconds < 2
        for daemon in others:
            gone = daemon.wait_event("peer_disconnected", since=marks[daemon], peer=peer_id)
            assert gone["reason"] == "goodbye"
            assert not daemon.list_peers().get(peer_id, {}).get("connected")
            goodbyes[daemon] += 1
        assert not leftovers(leaving, children)
        leaving.start()
    for daemon in daemons:
        log = daemon.log.read_text()
        assert log.count("Goodbye from") == goodbyes[daemon], log[-3000:]
        assert "is gone (" not in log, log[-3000:]
    print(f"{rounds} SIGTERMs, {sum(goodbyes.values())} goodbyes, the slowest exit {slowest * 1000:.0f} ms")


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
