"""The command line against real daemons."""

import json
import os
import re
import signal
import sqlite3
import subprocess
import time

import pytest

from lanlab import BUILD, PATIENCE, LabError, make_file, make_tree, tree, wait_for


@pytest.fixture
def party(lab, tmp_path):
    """Ann shares quake over a slow cable; Ben sees it."""
    ann, ben = lab.host("ann", rate=80_000_000).daemon(), lab.host("ben").daemon()
    make_tree(tmp_path / "quake", large=24 << 20)
    (tmp_path / "quake").rename(ann.games / "quake")
    (ann.games / "quake/version.ini").write_text("1.0\n")
    ben.wait_games(lambda games: games["quake"]["sources"] == 1 and games["quake"]["content"])
    return ann, ben


def half_way(daemon, since=0):
    return daemon.wait_event("download_progress", since=since, where=lambda event: event["done"] > event["total"] / 4)


def test_without_a_peer_every_client_exits_3(tmp_path):
    for command in ("status", "games", "peers", "tasks", "watch", "stop"):
        result = subprocess.run([BUILD / "app/lanspread", command, "--control", tmp_path / "nobody"],
                                stderr=subprocess.PIPE, text=True, check=False)
        assert result.returncode == 3
        assert result.stderr.count("\n") == 1 and "lanspread run" in result.stderr


def test_ctrl_c_detaches_and_the_download_goes_on(party):
    ann, ben = party
    waiting = ben.start_cli("get", "quake")
    half_way(ben)
    waiting.send_signal(signal.SIGINT)
    _, errors = waiting.communicate(timeout=PATIENCE)
    assert waiting.returncode == 130
    assert "lanspread cancel quake" in errors and "lanspread games" in errors
    ben.wait_event("download_finished")
    assert tree(ben.games / "quake") == tree(ann.games / "quake")


def test_get_on_a_running_download_attaches_and_on_one_done_exits_0(party):
    _, ben = party
    ben.cli("get", "quake", "--no-wait")
    half_way(ben)
    assert ben.cli("get", "quake")["game"]["availability"] == "downloaded"
    assert ben.count_events("download_begin") == 1
    assert ben.cli("get", "quake")["operation"] == "none"


def test_cancel_stops_it_and_what_was_verified_is_kept(party):
    ann, ben = party
    waiting = ben.start_cli("get", "quake")
    half_way(ben)
    assert ben.cli("cancel", "quake")["cancelled"] is True
    assert waiting.wait(PATIENCE) == 1
    ben.wait_games(lambda games: games["quake"]["operation"] == "none")
    received = ben.status()["received"]
    assert received > 4 << 20
    ben.cli("get", "quake")
    total = sum(path.stat().st_size for path in (ann.games / "quake").rglob("*") if path.is_file())
    assert ben.status()["received"] <= total + (8 << 20)
    assert ben.cli("cancel", "quake")["cancelled"] is False


def test_pause_holds_and_resume_goes_on(party, tmp_path):
    ann, ben = party
    waiting = ben.start_cli("get", "quake")
    half_way(ben)
    ben.cli("pause", "quake")
    done = ben.wait_games(lambda games: games["quake"]["paused"])["quake"]["progress"]["done"]
    # Another game comes meanwhile; this one does not but for what was in flight.
    ann.add_game("doom", make_tree(tmp_path / "doom", large=8 << 20, seed=2))
    ben.wait_games(lambda games: games["doom"]["sources"] == 1 and games["doom"]["content"])
    ben.cli("get", "doom")
    assert ben.list_games()["quake"]["progress"]["done"] <= done + (4 << 20)
    # That is no end and no failure, for whoever waits for it either.
    assert waiting.poll() is None and ben.list_games()["quake"]["operation"] == "downloading"
    mark = ben.mark()
    ben.cli("resume", "quake")
    ben.wait_event("download_finished", since=mark, game="quake")
    assert waiting.wait(PATIENCE) == 0
    assert ben.count_events("download_failed") == 0 and ben.count_events("download_begin", game="quake") == 1
    assert tree(ben.games / "quake") == tree(ann.games / "quake")


def test_watch_ends_when_nobody_reads_it_any_more(lab):
    ann = lab.host("ann").daemon()
    for _ in range(5):
        watching = ann.start_cli("watch")
        watching.stdout.readline()
        watching.stdout.close()
        code = watching.wait(PATIENCE)
        assert watching.stderr.read() == ""
        if code == 0:
            return
        assert code == -signal.SIGPIPE  # an event came in between and found the pipe closed: another try
    raise AssertionError("it never ended by itself")


def test_the_last_line_of_json_is_the_result_and_the_others_are_events(party):
    _, ben = party
    result = ben.run_cli("get", "quake", "--json")
    lines = [json.loads(line) for line in result.stdout.splitlines()]
    assert result.returncode == 0 and lines[-1]["ok"] is True
    assert lines[-1]["game"]["availability"] == "downloaded"
    assert all(line["game"] == "quake" and "event" in line for line in lines[:-1])


def test_an_unknown_game_is_exit_1_and_one_line(lab):
    ann = lab.host("ann").daemon()
    result = ann.run_cli("get", "quack")
    assert result.returncode == 1 and result.stderr.count("\n") == 1 and "quack" in result.stderr


def test_variants_are_listed_and_one_is_chosen(lab, tmp_path):
    ann, ben, cem = (lab.host(name).daemon() for name in ("ann", "ben", "cem"))
    for number, daemon in enumerate((ann, ben)):
        make_file(daemon.games / "quake/data", 3 << 20, number)
        (daemon.games / "quake/version.ini").write_text("1.0\n")
    cem.wait_games(lambda games: games["quake"]["variants"] == 2)
    listed = cem.run_cli("get", "quake", "--json")
    assert listed.returncode == 1
    variants = json.loads(listed.stdout.splitlines()[-1])["variants"]
    assert len(variants) == 2 and all(variant["content"] and variant["version"] for variant in variants)
    cem.cli("get", "quake", "--variant", variants[1]["content"][:12])
    assert tree(cem.games / "quake") in (tree(ann.games / "quake"), tree(ben.games / "quake"))
    assert cem.list_games()["quake"]["content"] == variants[1]["content"]


def next_version(folder, version, seed, size=3 << 20):
    """The folder becomes another version of the game."""
    make_file(folder / "data", size, seed)
    (folder / "version.ini").write_text(version + "\n")


def test_an_update_asked_for_while_the_new_version_is_still_hashed_waits_for_it(lab):
    ann, ben, cem = (lab.host(name).daemon() for name in ("ann", "ben", "cem"))
    for holder in (ann, cem):  # cem keeps the old version: that one can be had all the time
        next_version(holder.games / "quake", "1.0", 1)
    ben.wait_games(lambda games: games["quake"]["sources"] == 2 and games["quake"]["content"])
    ben.cli("install", "quake")
    assert "`lanspread play quake`" in ben.cli("install", "quake")["message"]
    old = ben.list_games()["quake"]["content"]
    next_version(ann.games / "quake", "1.1", 2)
    ben.wait_games(lambda games: games["quake"]["latest_version"] == "1.1")
    assert "`lanspread update quake`" in ben.cli("get", "quake")["message"]
    result = ben.cli("update", "quake")
    assert result["game"]["local_version"] == "1.1" and result["game"]["content"] != old
    assert tree(ben.games / "quake/local", without=()) == tree(ann.games / "quake")


def test_a_choice_among_variants_does_not_hold_an_update_back(lab):
    ann, ben, cem = (lab.host(name).daemon() for name in ("ann", "ben", "cem"))
    for seed, daemon in enumerate((ann, ben)):
        next_version(daemon.games / "quake", "1.0", seed)
    cem.wait_games(lambda games: games["quake"]["variants"] == 2)
    chosen = ann.list_games()["quake"]["content"]
    cem.cli("get", "quake", "--variant", chosen)
    next_version(ben.games / "quake", "1.1", 9)
    cem.wait_games(lambda games: games["quake"]["latest_version"] == "1.1")
    assert cem.cli("update", "quake")["game"]["local_version"] == "1.1"


def test_watch_starts_with_the_whole_state(party):
    ann, _ = party
    ann.wait_event("local_games_updated")
    assert ann.events[0]["event"] == "local_games_updated"
    assert {game["id"] for game in ann.events[0]["games"]} <= {"quake"}
    assert isinstance(ann.events[0]["operations"], list)


def test_settings_are_kept_and_take_effect(lab):
    ann = lab.host("ann").daemon()
    settings = ann.cli("config")
    assert settings["config"] and isinstance(settings["fixed"], list)
    ann.cli("limits", "--up", "5M", "--down", "1.5M")
    assert ann.cli("limits")["down"] == 1_500_000
    ann.restart()
    assert ann.cli("limits")["up"] == 5_000_000
    ann.cli("limits", "--up", "0", "--down", "0")
    assert ann.cli("limits")["up"] == 0
    # The file may be written by hand too.
    settings = json.loads((ann.state / "config.json").read_text())
    (ann.state / "config.json").write_text(json.dumps({**settings, "limit_up": 7_000_000}))
    wait_for(lambda: ann.cli("limits")["up"] == 7_000_000, what="the file to be read")


def test_what_a_flag_fixed_cannot_be_changed_at_run_time(lab):
    ann = lab.host("ann").daemon()  # --name is given
    with pytest.raises(LabError) as refusal:
        ann.cli("config", "name", "other")
    assert "--name" in str(refusal.value) or "flag" in str(refusal.value) or "command line" in str(refusal.value)


def test_the_games_folder_cannot_change_under_a_download(party, tmp_path):
    _, ben = party
    ben.cli("get", "quake", "--no-wait")
    half_way(ben)
    result = ben.run_cli("games-dir", tmp_path / "elsewhere")
    assert result.returncode == 1 and result.stderr
    ben.wait_event("download_finished")


def test_add_makes_the_same_content_on_two_machines(lab, tmp_path):
    ann, ben = lab.host("ann").daemon(), lab.host("ben").daemon()
    folder = make_tree(tmp_path / "mine")
    for daemon in (ann, ben):
        daemon.add_game("mine", folder)
    ann.wait_games(lambda games: games["mine"]["sources"] == 1)
    first, second = ann.list_games()["mine"], ben.list_games()["mine"]
    assert first["content"] == second["content"] and first["variants"] == 1
    assert (ann.games / "mine/version.ini").read_bytes() == b"1.0\n"


def test_a_catalogue_is_taken_at_start_and_another_is_imported(lab, tmp_path):
    file = tmp_path / "games.sqlite"
    with sqlite3.connect(file) as base:
        base.execute("create table games (id text, title text, publisher text, genre text)")
        base.execute("insert into games values ('chess', 'Chess', 'Nobody', 'Board')")
    base.close()
    ann = lab.host("ann").daemon(arguments=["--no-discovery", "--catalog", file])
    chess = ann.list_games()["chess"]
    assert (chess["title"], chess["publisher"], chess["availability"]) == ("Chess", "Nobody", "unavailable")
    (tmp_path / "more.csv").write_text("id,title,genre\ngo,Go,Board\n")
    (tmp_path / "more.json").write_text(json.dumps([{"id": "go", "max_players": 2}, {"id": "halma", "title": "Halma"}]))
    assert ann.cli("catalog", "import", tmp_path / "more.csv")["added"] == 1
    imported = ann.cli("catalog", "import", tmp_path / "more.json")
    assert (imported["added"], imported["changed"]) == (1, 1)
    ann.restart()
    shown = {entry["id"]: entry for entry in ann.cli("catalog", "show")["games"]}
    assert shown["go"]["title"] == "Go" and shown["go"]["max_players"] == 2 and {"chess", "halma"} <= set(shown)
    wrong = ann.run_cli("catalog", "import", file)
    assert wrong.returncode == 1 and wrong.stderr.count("\n") == 1 and str(file) in wrong.stderr


def test_settings_that_a_flag_gave_are_told_as_such(lab):
    ann = lab.host("ann").daemon(arguments=["--no-discovery"])  # and --http off
    config = ann.cli("config")
    assert config["config"]["http"] == "off" and {"http", "discovery", "name"} <= set(config["fixed"])
    shown = ann.run_cli("config").stdout.splitlines()
    assert "http = off  (by a flag of this run)" in shown
    refused = ann.run_cli("config", "http", "127.0.0.1:0")
    assert refused.returncode == 1 and "flag" in refused.stderr


def test_remove_deletes_the_download_and_verify_finds_damage(lab, tmp_path):
    ann = lab.host("ann").daemon()
    ann.add_game("mine", make_tree(tmp_path / "mine"))
    ann.wait_games(lambda games: games["mine"]["content"])
    assert ann.cli("verify", "mine")["ok"] is True
    # A bit that fell over on the disk, so that only the content tells.
    path = ann.games / "mine/data/large.bin"
    times = path.stat()

    def fall_over(offset):
        with open(path, "r+b") as file:
            file.seek(offset)
            byte = file.read(1)[0]
            file.seek(offset)
            file.write(bytes([byte ^ 1]))
        os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))

    fall_over(5 << 20)
    damaged = ann.run_cli("verify", "mine")
    assert damaged.returncode == 1 and damaged.stderr.count("\n") == 1 and "`lanspread get mine`" in damaged.stderr, damaged
    assert re.search(r"data/large\.bin \(1 of \d+ chunks\)", damaged.stderr), damaged
    assert ann.wait_event("verify_failed")["files"][0]["path"] == "data/large.bin"
    again = ann.run_cli("verify", "mine", "--json")  # what is known already is found again, not taken for the game
    events = [json.loads(line) for line in again.stdout.splitlines()]
    assert again.returncode == 1 and [file["chunks"] for event in events for file in event.get("files", [])] == [1], again
    fall_over(1 << 20)  # and one more
    damaged = ann.run_cli("verify", "mine")
    assert damaged.returncode == 1 and re.search(r"data/large\.bin \(2 of \d+ chunks\)", damaged.stderr), damaged
    assert "data/large.bin" in ann.run_cli("games").stdout
    # Nobody else has it: that is said, and nothing claimed to be on its way.
    assert "waits for somebody" in ann.cli("get", "mine", "--no-wait")["message"]
    ann.cli("pause", "mine")
    assert "downloading, paused" in ann.run_cli("games").stdout
    waiting = ann.run_cli("get", "mine", "--no-wait")
    assert waiting.returncode == 0 and "nobody here has it now" in waiting.stderr + waiting.stdout, waiting
    assert "downloading" not in waiting.stdout, waiting
    ann.cli("cancel", "mine")
    ann.wait_games(lambda games: games["mine"]["operation"] == "none")
    ann.cli("remove", "mine")
    assert not (ann.games / "mine/version.ini").exists()
    assert not (ann.games / "mine/data").exists()


def test_a_verify_that_is_cancelled_does_not_hash_on(lab):
    ann = lab.host("ann").daemon()
    folder = ann.games / "big"
    folder.mkdir()
    with open(folder / "data", "wb") as file:
        file.truncate(2 << 30)
    began = time.monotonic()
    (folder / "version.ini").write_text("20240101\n")
    ann.wait_games(lambda games: games.get("big", {}).get("content"), 300)
    assert ann.count_events("hashing_progress", game="big", total=(2 << 30) + 9)
    hashing, mark = time.monotonic() - began, ann.mark()
    content = ann.list_games()["big"]["content"]
    ann.start_cli("verify", "big")
    assert 0 < ann.wait_event("verify_progress", game="big")["done"] < 2 << 30
    began = time.monotonic()
    assert ann.cli("cancel", "big")["cancelled"] is True
    assert ann.wait_event("verify_failed", since=mark)["error"]["code"] == "cancelled"
    ann.wait_games(lambda games: games["big"]["operation"] == "none" and games["big"]["content"] == content)
    assert time.monotonic() - began < hashing / 4, "it hashed to the end"


def test_stop_leaves_nothing_behind(lab):
    ann = lab.host("ann").daemon()
    children = ann.host.run("ps", "-o", "pid=", "--ppid", ann.pid, check=False).split()
    ann.cli("stop")
    assert ann.process.poll() == 0, "it is still there, with its locks"
    assert not ann.control.exists() and not ann.control.with_name("control.sock.lock").exists()
    assert not [pid for pid in children if subprocess.run(["kill", "-0", pid], stderr=subprocess.DEVNULL, check=False)
                .returncode == 0]
    assert not list(ann.state.rglob("*.tmp"))
