"""The main job: a party shares a game."""

import os
import random
import re
import signal
import subprocess
import time

import pytest

from lanlab import Lab, LabError, make_file, make_tree, run, share, tree


@pytest.mark.alone
def test_two_hosts_list_each_others_games_within_three_seconds(lab, tmp_path):
    ann = lab.host("ann").daemon(start=False)
    ben = lab.host("ben").daemon()
    share(ann, "quake", make_tree(tmp_path / "quake"))
    ann.start()
    ben.wait_games(lambda games: games["quake"]["sources"] == 1)
    assert time.monotonic() - ann.started < 3


def test_a_game_arrives_byte_for_byte_and_version_ini_last(lab, tmp_path):
    ann = lab.host("ann").daemon()
    ben = lab.host("ben").daemon(wrapper=["strace", "-f", "-y", "-qq", "-o", tmp_path / "trace", "--seccomp-bpf",
                                          "-e", "trace=rename,renameat,renameat2"])
    wanted = share(ann, "quake", make_tree(tmp_path / "quake", large=64 << 20, small=500))
    ben.wait_games(lambda games: games["quake"]["sources"] == 1 and games["quake"]["content"])
    result = ben.cli("get", "quake")
    assert result["game"]["availability"] == "downloaded"
    assert tree(ben.games / "quake") == wanted
    ben.wait_event("download_finished")
    # What moved out of the stage, in its order: files, and folders whole.
    moved = re.findall(r'stage/files>, "([^"]+)", [^"]*/quake>', (tmp_path / "trace").read_text())
    assert moved[-1] == "version.ini" and {"data", "start.sh"} <= set(moved[:-1]), moved
    names = [event["event"] for event in ben.events if event.get("game") == "quake"]
    assert names.count("download_begin") == names.count("download_finished") == 1
    assert names.index("download_begin") < names.index("download_finished")


def whole_thing(lab, tmp_path, large):
    """One large file, 2,000 small ones, empty ones, nested folders, names in Unicode; byte for byte."""
    ann, ben = lab.host("ann").daemon(), lab.host("ben").daemon()
    wanted = share(ann, "quake", make_tree(tmp_path / "quake", large=large, small=2000))
    assert len(wanted) > 2000 and "🎮.cfg" in wanted
    ben.wait_games(lambda games: games["quake"]["sources"] == 1 and games["quake"]["content"], timeout=120)
    ben.cli("get", "quake", timeout=600)
    assert tree(ben.games / "quake") == wanted
    assert (ben.games / "quake/version.ini").read_bytes() == (ann.games / "quake/version.ini").read_bytes()
    written = [path.stat().st_ctime_ns for path in (ben.games / "quake").rglob("*")
               if path.is_file() and ".lanspread" not in path.parts]
    assert (ben.games / "quake/version.ini").stat().st_ctime_ns == max(written)
    assert (ben.games / "quake/start.sh").stat().st_mode & 0o111
    assert (ben.games / "quake/empty").stat().st_size == 0


def test_a_quarter_of_a_gibibyte_with_2000_small_files_arrives_byte_for_byte(lab, tmp_path):
    whole_thing(lab, tmp_path, 200 << 20)


@pytest.mark.soak
def test_a_gibibyte_with_2000_small_files_arrives_byte_for_byte(lab, tmp_path):
    whole_thing(lab, tmp_path, 1 << 30)


@pytest.mark.alone
def test_of_three_sources_one_is_killed_and_one_leaves_half_way(lab, tmp_path):
    holders = [lab.host(name, rate=80_000_000).daemon() for name in ("ann", "ben", "dan")]
    cem = lab.host("cem").daemon()
    for number, holder in enumerate(holders):
        wanted = share(holder, "quake", make_tree(tmp_path / str(number), large=96 << 20, seed=9))
    cem.wait_games(lambda games: games["quake"]["sources"] == 3 and games["quake"]["content"])
    cem.cli("get", "quake", "--no-wait")
    cem.wait_event("download_progress", where=lambda event: event["done"] > event["total"] * 0.4)
    mark = cem.mark()
    holders[0].kill()
    code, seconds = holders[1].stop()
    assert code == 0 and seconds < 2
    assert cem.wait_event("peer_disconnected", since=mark, peer=holders[1].peer_id)["reason"] == "goodbye"
    assert cem.wait_event("peer_disconnected", since=mark, peer=holders[0].peer_id)["reason"] == "lost"
    assert cem.list_games()["quake"]["operation"] == "downloading", "the third was still needed"
    cem.wait_event("download_finished", timeout=90)
    assert tree(cem.games / "quake") == wanted
    assert cem.count_events("download_failed") == cem.count_events("download_all_peers_gone") == 0
    assert all(cem.list_peers()[holders[2].peer_id][key] for key in ("connected", "received"))


def test_a_download_comes_from_everyone_who_has_it(lab, tmp_path):
    holders = [lab.host(name).daemon() for name in ("ann", "ben")]
    cem = lab.host("cem").daemon()
    for number, holder in enumerate(holders):
        wanted = share(holder, "quake", make_tree(tmp_path / str(number), large=64 << 20, seed=9))
    cem.wait_games(lambda games: games["quake"]["sources"] == 2 and games["quake"]["content"])
    cem.cli("get", "quake")
    assert tree(cem.games / "quake") == wanted
    peers = cem.list_peers()
    assert all(peers[holder.peer_id]["received"] > 1 << 20 for holder in holders)


@pytest.mark.alone
def test_sigterm_says_goodbye_and_exits_0_within_two_seconds(lab):
    ann, ben = lab.host("ann").daemon(), lab.host("ben").daemon()
    ben.wait_peers(1)
    code, seconds = ann.stop(signal.SIGTERM)
    assert code == 0 and seconds < 2
    gone = ben.wait_event("peer_disconnected")
    assert gone["reason"] == "goodbye"


@pytest.mark.alone
def test_a_pulled_cable_is_noticed_within_five_seconds(lab):
    ann, ben = lab.host("ann"), lab.host("ben").daemon()
    daemon = ann.daemon()
    ben.wait_peers(1)
    pulled = time.monotonic()
    ann.unplug()
    lost = ben.wait_event("peer_disconnected", timeout=6)
    assert lost["peer"] == daemon.peer_id and lost["reason"] == "lost"
    assert time.monotonic() - pulled < 5.5


def test_no_multicast_a_peer_given_by_hand_is_enough(lab, tmp_path):
    ann = lab.host("ann").daemon(arguments=["--no-discovery"])
    share(ann, "quake", make_tree(tmp_path / "quake"))
    ben = lab.host("ben").daemon(arguments=["--no-discovery", "--peer", ann.address])
    ben.wait_games(lambda games: games["quake"]["sources"] == 1)


def test_a_wrong_pinned_id_is_refused(lab):
    ann = lab.host("ann").daemon(arguments=["--no-discovery"])
    ben = lab.host("ben").daemon(arguments=["--no-discovery", "--peer", f"{ann.address}#{'00' * 32}"])
    ben.wait_event("warning", where=lambda event: "refused" in event["message"] and ann.peer_id[:8] in event["message"])
    assert not [peer for peer in ben.list_peers().values() if peer["connected"]]


@pytest.mark.parametrize("dead", ["eth0", "eth1"])
def test_an_interface_that_leads_nowhere_does_not_hide_the_one_that_works(lab, tmp_path, dead):
    """Whichever of the two comes first, and has the default route."""
    daemons = []
    for number, name in enumerate(("ann", "ben"), 1):
        host = lab.host(name, switch="switch" if dead == "eth1" else None)
        host.add_interface("eth1", "switch" if dead == "eth0" else None, [f"10.99.0.{number}/24"])
        daemons.append(host.daemon())
    a, b = daemons
    wanted = share(a, "quake", make_tree(tmp_path / "quake"))
    b.wait_games(lambda games: games["quake"]["sources"] == 1 and games["quake"]["content"])
    b.cli("get", "quake")
    assert tree(b.games / "quake") == wanted


def test_a_second_daemon_on_one_state_folder_is_refused_and_names_the_first(lab):
    host = lab.host("ann")
    first = host.daemon("first")
    with pytest.raises(LabError) as refusal:
        host.daemon("second", state=first.state)
    assert str(first.pid) in str(refusal.value)
    assert first.status()["peer_id"] == first.peer_id


def test_two_installations_have_different_keys_and_a_rotated_key_is_a_new_peer(lab):
    ann, ben = lab.host("ann").daemon(), lab.host("ben").daemon()
    before = ann.peer_id
    assert before != ben.peer_id
    ben.wait_peers(1)
    ann.cli("identity", "rotate")
    assert ann.stop()[0] == 0
    mark = ben.mark()
    ann.start()
    assert ann.peer_id != before
    assert ben.wait_event("peer_connected", since=mark)["peer"]["id"] == ann.peer_id


def test_the_only_source_dies_and_comes_back(lab, tmp_path):
    ann, ben = lab.host("ann", rate=80_000_000).daemon(), lab.host("ben").daemon()
    wanted = share(ann, "quake", make_tree(tmp_path / "quake", large=48 << 20))
    ben.wait_games(lambda games: games["quake"]["sources"] == 1 and games["quake"]["content"])
    ben.cli("get", "quake", "--no-wait")
    ben.wait_event("download_progress", where=lambda event: event["done"] > event["total"] / 4)
    ann.kill()
    ben.wait_event("download_all_peers_gone", timeout=60)
    done = ben.list_games()["quake"]["progress"]["done"]
    before = ben.status()["received"]
    ann.start()
    ben.wait_event("download_finished", timeout=60)
    assert tree(ben.games / "quake") == wanted
    total = sum(path.stat().st_size for path in (ann.games / "quake").rglob("*") if path.is_file())
    assert ben.status()["received"] - before <= total - done + (4 << 20)
    assert ben.count_events("download_all_peers_gone") == 1
    assert ben.count_events("download_failed") == 0


def test_a_killed_download_goes_on_after_restart_and_fetches_no_chunk_twice(lab, tmp_path):
    ann, ben = lab.host("ann", rate=160_000_000).daemon(), lab.host("ben").daemon()
    wanted = share(ann, "quake", make_tree(tmp_path / "quake", large=96 << 20))
    total = sum(path.stat().st_size for path in (ann.games / "quake").rglob("*") if path.is_file())
    ben.wait_games(lambda games: games["quake"]["sources"] == 1 and games["quake"]["content"])
    ben.cli("get", "quake", "--no-wait")
    # Ten moments drawn at random, in the order in which the download comes by them.
    kills = sorted(random.Random(13).uniform(0.02, 0.95) for _ in range(10))
    mark = ben.mark()
    for moment in kills:
        reached = ben.wait_event("download_progress", since=mark,
                                 where=lambda event, moment=moment: event["done"] >= event["total"] * moment)
        mark = ben.mark()
        ben.restart()
        # What counted before counts at once; the first event of a life that fetches tells it.
        again = ben.wait_any(("download_progress", "download_finished"), since=mark)
        assert again["event"] == "download_finished" or again["done"] >= reached["done"], (reached, again)
    ben.wait_games(lambda games: games["quake"]["availability"] == "downloaded", timeout=60)
    assert tree(ben.games / "quake") == wanted
    # What was in flight at a kill may be asked for again, what was verified may not.
    assert ann.status()["sent"] <= total + len(kills) * (4 << 20)


def test_a_flipped_byte_is_found_fetched_elsewhere_and_withdrawn(lab, tmp_path):
    holders = [lab.host(name).daemon() for name in ("ann", "ben")]
    cem = lab.host("cem", rate=200_000_000).daemon()
    for number, holder in enumerate(holders):
        wanted = share(holder, "quake", make_tree(tmp_path / str(number), large=32 << 20, seed=3))
    cem.wait_games(lambda games: games["quake"]["sources"] == 2 and games["quake"]["content"])
    liar, path = holders[0], holders[0].games / "quake/data/large.bin"
    with open(path, "r+b") as file:
        times = path.stat()
        for offset in range(100, 32 << 20, 1 << 20):
            file.seek(offset)
            byte = file.read(1)[0]
            file.seek(offset)
            file.write(bytes([byte ^ 1]))
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    cem.cli("get", "quake")
    assert tree(cem.games / "quake") == wanted
    assert cem.wait_event("chunk_rejected", game="quake")["peer"] == liar.peer_id
    assert liar.wait_event("chunk_rejected", game="quake")["peer"] == cem.peer_id
    # It hashes its copy anew and offers neither the old content nor what its disk made of it: nobody has to choose.
    content = cem.list_games()["quake"]["content"]
    damaged = liar.wait_games(lambda games: games["quake"]["problem"])["quake"]
    assert damaged["content"] not in (None, content) and "data/large.bin (32 of " in damaged["problem"]
    assert damaged["damaged"] is True
    cem.wait_games(lambda games: games["quake"]["sources"] == games["quake"]["variants"] == 1)
    # That it is damaged outlives a restart; `get` brings back what it was, and it serves again.
    liar.restart()
    liar.wait_games(lambda games: games["quake"]["sources"] == 2 and games["quake"]["problem"] == damaged["problem"])
    cem.wait_games(lambda games: games["quake"]["sources"] == games["quake"]["variants"] == 1)
    liar.cli("get", "quake")
    assert tree(liar.games / "quake") == wanted
    cem.wait_games(lambda games: games["quake"]["sources"] == 2 and games["quake"]["variants"] == 1)
    assert liar.list_games()["quake"]["problem"] is None and not liar.list_games()["quake"]["damaged"]


def test_a_damaged_copy_that_is_the_only_one_is_said_on_both_sides_and_is_no_loop(lab, tmp_path):
    ann, ben = lab.host("ann").daemon(), lab.host("ben").daemon()
    wanted = share(ann, "quake", make_tree(tmp_path / "quake", large=32 << 20))
    total = sum(path.stat().st_size for path in (ann.games / "quake").rglob("*") if path.is_file())
    ben.wait_games(lambda games: games["quake"]["sources"] == 1 and games["quake"]["content"])
    path = ann.games / "quake/data/large.bin"
    times, whole = path.stat(), path.read_bytes()

    def write(byte):
        with open(path, "r+b") as file:
            file.seek(5 << 20)
            file.write(bytes([byte]))
        os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))

    write(whole[5 << 20] ^ 1)
    result = ben.run_cli("get", "quake")
    assert result.returncode == 1 and "no peer gave all of quake" in result.stderr, result
    assert "data/large.bin (1 of " in ann.wait_games(lambda games: games["quake"]["problem"])["quake"]["problem"]
    ben.wait_games(lambda games: games["quake"]["sources"] == 0 and games["quake"]["operation"] == "none")
    assert not (ben.games / "quake/version.ini").exists()
    ben.wait_event("download_failed")
    assert ben.count_events("chunk_rejected") == ben.count_events("download_failed") == 1
    # The disk gives the right byte again: what was verified is not fetched twice, what was under way may be.
    write(whole[5 << 20])
    ann.cli("verify", "quake")
    ben.wait_games(lambda games: games["quake"]["sources"] == 1)
    ben.cli("get", "quake")
    assert tree(ben.games / "quake") == wanted
    assert ann.status()["sent"] <= total + (12 << 20)


def test_only_space_that_is_there_is_used(lab, tmp_path):
    ann = lab.host("ann").daemon()
    share(ann, "quake", make_tree(tmp_path / "quake", large=64 << 20))
    small = tmp_path / "small"
    small.mkdir()
    run("mount", "-t", "tmpfs", "-o", "size=32m", "tmpfs", small)
    try:
        ben = lab.host("ben").daemon(games=small)
        ben.wait_games(lambda games: games["quake"]["sources"] == 1 and games["quake"]["content"])
        result = ben.run_cli("get", "quake")
        assert result.returncode == 1 and "free" in result.stderr
        assert ben.count_events("download_begin") == 0
        ben.kill()
    finally:
        run("umount", "-l", small)


def test_names_in_unicode_and_a_file_copied_in_by_hand(lab, tmp_path):
    ann, ben = lab.host("ann").daemon(), lab.host("ben").daemon()
    ben.wait_peers(1)
    folder = tmp_path / "copy"
    make_file(folder / "päck/ファイル.bin", 1 << 20, 4)
    wanted = share(ann, "by-hand", folder)
    ann.wait_games(lambda games: games["by-hand"]["content"])
    hashed = time.monotonic()
    ben.wait_games(lambda games: games["by-hand"]["content"])
    assert time.monotonic() - hashed < 2
    ben.cli("get", "by-hand")
    assert tree(ben.games / "by-hand") == wanted


def test_after_a_restart_a_game_is_ready_at_once_and_only_what_was_added_is_read(lab, tmp_path):
    ann = lab.host("ann").daemon()
    share(ann, "quake", make_tree(tmp_path / "quake", large=8 << 20))
    content = ann.wait_games(lambda games: games["quake"]["content"])["quake"]["content"]

    def read():
        return [int(count) for count in re.findall(r'"quake" is hashed: .*, (\d+) of them read', ann.log.read_text())]

    assert len(read()) == 1 and read()[0] > 8 << 20
    ann.restart()
    assert ann.list_games()["quake"]["content"] == content and len(read()) == 1
    ann.stop()
    make_file(ann.games / "quake/data/more", 1 << 20, 5)
    ann.start()
    ann.wait_games(lambda games: games["quake"]["content"] not in (None, content))
    assert len(read()) == 2 and read()[1] == 1 << 20


@pytest.mark.alone
def test_five_hundred_games_are_listed_quickly_and_idle_costs_little(lab, tmp_path):
    ann = lab.host("ann").daemon(start=False)
    for i in range(500):
        make_file(ann.games / f"game-{i:03}/data", 2000, i)
        (ann.games / f"game-{i:03}/version.ini").write_text("1\n")
    ann.start()
    ann.wait_games(lambda games: sum(1 for game in games.values() if game["content"]) >= 500, timeout=60)
    times = []
    for _ in range(20):
        begun = time.monotonic()
        ann.cli("games")
        times.append(time.monotonic() - begun)
    assert min(times) < 0.1, times  # what others do on this machine only adds to it
    assert ann.memory() < 100 << 20
    # At rest: nothing is hashed any more, and its own clients are silent while it is measured.
    ann.watcher.close()
    idle, begun = ann.cpu_seconds(), time.monotonic()
    with pytest.raises(subprocess.TimeoutExpired):
        ann.process.wait(10)
    assert (ann.cpu_seconds() - idle) / (time.monotonic() - begun) < 0.01


def test_the_library_is_looked_at_before_anybody_can_ask_and_that_before_anybody_is_looked_for(lab, tmp_path):
    """In the order of its system calls: every game is read, then the socket bound, then discovery started."""
    ann = lab.host("ann").daemon(start=False, arguments=["--listen", "41234"], wrapper=[
        "strace", "-f", "-y", "-qq", "-s", "300", "-o", tmp_path / "trace", "-e", "trace=openat,openat2,bind,execve"])
    games = [f"game-{number}" for number in range(20)]
    for number, game in enumerate(games):
        make_file(ann.games / game / "data", 2000, number)
        (ann.games / game / "version.ini").write_text("1\n")
    ann.start()
    assert {game for game in ann.list_games() if game.startswith("game-")} == set(games)
    ann.wait_until(lambda: ann.service("discovery")["state"] == "running", what="discovery")
    ann.cli("stop")
    ann.process.wait(60)
    calls = (tmp_path / "trace").read_text().splitlines()

    def first(*words):
        return next(place for place, call in enumerate(calls) if all(word in call for word in words))

    read = max(first("open", f"/{game}>", "version.ini") for game in games)
    assert read < first("bind(", "htons(41234)") < first("execve(", "lanspread-discover")


def test_mtu_1280_and_a_lossy_cable_still_deliver(tmp_path):
    with Lab(mtu=1280) as lab:
        ann, ben = lab.host("ann"), lab.host("ben")
        a, b = ann.daemon(), ben.daemon()
        wanted = share(a, "quake", make_tree(tmp_path / "quake", large=4 << 20))
        b.wait_games(lambda games: games["quake"]["sources"] == 1 and games["quake"]["content"])
        ben.lose(5)
        b.cli("get", "quake", timeout=120)
        assert tree(b.games / "quake") == wanted
