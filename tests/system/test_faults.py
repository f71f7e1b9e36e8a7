"""What a machine and its user do to a peer: stopped, starved, its files taken away, its clock wrong."""

import os
import resource
import shutil
import signal
import sqlite3
import subprocess

import pytest

import lanlab
from lanlab import BUILD, make_file, make_tree, run, share, tree


def offers(daemon, count=1):
    """Waits until quake is there from so many, with its content known."""
    return daemon.wait_games(lambda games: games["quake"]["sources"] == count and games["quake"]["content"])


# ---- Lifecycle ----------------------------------------------------------------------------------------

def test_a_peer_that_was_stopped_for_a_while_comes_back_and_is_not_banned(lab, tmp_path):
    """SIGSTOP for longer than every timeout of a connection (a minute takes the same path)."""
    ann, ben = lab.host("ann", rate=100_000_000).daemon(), lab.host("ben").daemon()
    wanted = share(ann, "quake", make_tree(tmp_path / "quake", large=24 << 20))
    offers(ben)
    ben.cli("get", "quake", "--no-wait")
    ben.wait_event("download_progress", where=lambda event: event["done"] > event["total"] / 4)
    mark = ben.mark()
    os.kill(ann.pid, signal.SIGSTOP)
    try:
        lost = ben.wait_event("peer_disconnected", since=mark)
        assert lost["reason"] == "lost"
        ben.wait_event("download_all_peers_gone", since=mark)
    finally:
        os.kill(ann.pid, signal.SIGCONT)
    ben.wait_event("download_finished", since=mark, timeout=60)
    assert tree(ben.games / "quake") == wanted
    assert ben.count_events("download_failed") == ben.count_events("chunk_rejected") == 0


def test_a_receiver_that_was_stopped_goes_on_where_it_was(lab, tmp_path):
    ann, ben = lab.host("ann", rate=100_000_000).daemon(), lab.host("ben").daemon()
    wanted = share(ann, "quake", make_tree(tmp_path / "quake", large=24 << 20))
    offers(ben)
    ben.cli("get", "quake", "--no-wait")
    ben.wait_event("download_progress", where=lambda event: event["done"] > event["total"] / 4)
    mark = ann.mark()
    os.kill(ben.pid, signal.SIGSTOP)
    try:
        ann.wait_event("peer_disconnected", since=mark)
    finally:
        os.kill(ben.pid, signal.SIGCONT)
    ben.wait_event("download_finished", timeout=60)
    assert tree(ben.games / "quake") == wanted
    total = sum(path.stat().st_size for path in (ann.games / "quake").rglob("*") if path.is_file())
    assert ann.status()["sent"] <= total + (16 << 20)


def test_a_discovery_that_crashes_over_and_over_keeps_its_delay_and_stops_nothing(lab, tmp_path):
    ann = lab.host("ann", rate=40_000_000).daemon(arguments=["--no-discovery"])
    wanted = share(ann, "quake", make_tree(tmp_path / "quake", large=64 << 20))
    # A build tree of links, in which lanspread-discover is a program that dies at once.
    helpers = tmp_path / "helpers"
    helpers.mkdir()
    for name in ("lanspread", "lanspread-unpack"):
        shutil.copy(lanlab.BUILD / "app" / name, helpers / name)
    (helpers / "lanspread-discover").write_text("#!/bin/sh\necho started >>\"$0.log\"\nkill -ABRT $$\n")
    (helpers / "lanspread-discover").chmod(0o755)
    ben = lab.host("ben").daemon(start=False, arguments=["--peer", ann.address],
                                 env={"LD_LIBRARY_PATH": str(lanlab.BUILD / "lib")})
    ben.program = helpers / "lanspread"
    ben.start()
    offers(ben)
    ben.cli("get", "quake")
    assert tree(ben.games / "quake") == wanted
    ben.wait_until(lambda: ben.service("discovery")["restarts"] >= 2, what="two restarts")
    found = ben.service("discovery")
    starts = len((helpers / "lanspread-discover.log").read_text().splitlines())
    seconds = lanlab.time.monotonic() - ben.started
    assert starts <= seconds / 5 + 2, "the delay of 5 s between starts is kept"
    assert found["restarts"] in (starts - 1, starts) and "signal" in found["error"]
    assert ben.stop()[0] == 0


WRONG_CLOCK = """
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>
int clock_gettime(clockid_t clock, struct timespec *ts)
{
	int r = (int)syscall(SYS_clock_gettime, clock, ts);
	if (r == 0 && clock == CLOCK_REALTIME)
		ts->tv_sec += YEARS * 31536000L;
	return r;
}
time_t time(time_t *t)
{
	struct timespec ts;
	clock_gettime(CLOCK_REALTIME, &ts);
	if (t)
		*t = ts.tv_sec;
	return ts.tv_sec;
}
int gettimeofday(struct timeval *tv, void *zone)
{
	tv->tv_sec = time(NULL);
	tv->tv_usec = 0;
	return 0;
}
"""


@pytest.mark.parametrize("years", [10, -10])
def test_a_clock_that_is_ten_years_off_shares_and_fetches(lab, tmp_path, years):
    (tmp_path / "clock.c").write_text(WRONG_CLOCK)
    run("cc", f"-DYEARS={years}", "-shared", "-fPIC", "-o", tmp_path / "clock.so", tmp_path / "clock.c")
    ann = lab.host("ann").daemon()
    ben = lab.host("ben").daemon(env={"LD_PRELOAD": str(tmp_path / "clock.so")})
    wanted = share(ann, "quake", make_tree(tmp_path / "quake", large=4 << 20))
    mine = share(ben, "doom", make_tree(tmp_path / "doom", large=4 << 20, seed=2))
    ben.wait_games(lambda games: games["quake"]["sources"] == 1 and games["quake"]["content"])
    ben.cli("get", "quake")
    assert tree(ben.games / "quake") == wanted
    ann.wait_games(lambda games: games["doom"]["sources"] == 1 and games["doom"]["content"])
    ann.cli("get", "doom")
    assert tree(ann.games / "doom") == mine


@pytest.mark.parametrize("damage", ["truncated", "no wal", "noise", "gone"])
def test_our_own_databases_may_be_damaged_and_downloads_stay(lab, tmp_path, damage):
    ann = lab.host("ann").daemon()
    share(ann, "quake", make_tree(tmp_path / "quake", large=2 << 20))
    ann.wait_games(lambda games: games["quake"]["content"])
    content = ann.list_games()["quake"]["content"]
    ann.kill()
    files = [path for path in ann.state.rglob("*") if path.suffix in (".db", ".sqlite") or path.name.endswith("-wal")]
    bases = [path for path in files if not path.name.endswith("-wal")]
    assert bases, list(ann.state.iterdir())
    for path in files:
        if damage == "truncated":
            os.truncate(path, path.stat().st_size // 2)
        elif damage == "noise" and path in bases:
            path.write_bytes(os.urandom(8192))
        elif damage == "gone" or (damage == "no wal" and path not in bases):
            path.unlink()
    ann.start()
    ann.wait_games(lambda games: games["quake"]["content"] == content)
    assert ann.list_games()["quake"]["availability"] == "downloaded"
    assert ann.stop()[0] == 0
    for path in bases:
        with sqlite3.connect(path) as base:
            assert base.execute("pragma integrity_check").fetchone()[0] == "ok"


# ---- Files --------------------------------------------------------------------------------------------

@pytest.fixture
def disk(tmp_path):
    """make(MiB): a filesystem of its own of that size."""
    mounted = []

    def make(megabytes):
        folder = tmp_path / f"disk{len(mounted)}"
        folder.mkdir()
        run("mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs", folder)
        mounted.append(folder)
        return folder

    yield make
    for folder in mounted:
        run("umount", "-l", folder, check=False)


def test_a_disk_that_fills_up_half_way_is_a_clear_error_and_it_resumes_after_space_is_freed(lab, tmp_path, disk):
    ann = lab.host("ann", rate=80_000_000).daemon()
    wanted = share(ann, "quake", make_tree(tmp_path / "quake", large=48 << 20))
    small = disk(80)
    ben = lab.host("ben").daemon(games=small)
    offers(ben)
    waiting = ben.start_cli("get", "quake")
    ben.wait_event("download_progress", where=lambda event: event["done"] > event["total"] / 5)
    filler = small / "someone-elses-file"
    with open(filler, "wb") as file:
        try:
            while file.write(b"x" * (1 << 20)):
                file.flush()
        except OSError:
            pass
    assert waiting.wait(120) == 1
    failed = ben.wait_event("download_failed", game="quake")
    assert "space" in failed["error"]["message"].lower(), failed
    total = sum(path.stat().st_size for path in (ann.games / "quake").rglob("*") if path.is_file())
    room = os.statvfs(small)
    os.truncate(filler, filler.stat().st_size + room.f_bavail * room.f_frsize - total * 9 // 10)  # what is here needs none
    ann.host.limit(None)
    ben.cli("get", "quake")
    assert tree(ben.games / "quake") == wanted
    assert ann.status()["sent"] <= total + (8 << 20), "what was verified was fetched again"
    ben.kill()


def test_a_games_folder_that_cannot_be_written_is_a_clear_error(lab, tmp_path, disk):
    ann = lab.host("ann").daemon()
    share(ann, "quake", make_tree(tmp_path / "quake", large=2 << 20))
    folder = disk(64)
    run("mount", "-o", "remount,ro", folder)
    ben = lab.host("ben").daemon(games=folder)
    offers(ben)
    assert "games_dir" in ben.status()["health"]["degraded"]
    result = ben.run_cli("get", "quake")
    assert result.returncode == 1 and result.stderr.count("\n") == 1, result.stderr
    assert "read-only" in result.stderr.lower() and str(folder) in result.stderr
    run("mount", "-o", "remount,rw", folder)
    ben.restart()
    offers(ben)
    ben.cli("get", "quake")
    ben.kill()


def test_a_games_folder_that_vanishes_is_said_and_comes_back(lab, tmp_path):
    ann, ben = lab.host("ann").daemon(), lab.host("ben").daemon()
    share(ann, "quake", make_tree(tmp_path / "quake", large=2 << 20))
    offers(ben)
    ann.cli("config", "rescan_interval", "10")
    mark = ann.mark()
    ann.games.rename(tmp_path / "unplugged")
    ann.wait_event("health_changed", since=mark, where=lambda event: "games_dir" in event["degraded"], timeout=60)
    warning = ann.wait_event("warning", since=mark, where=lambda event: "is gone" in event["message"])
    assert ann.status()["games_dir_problem"] == warning["message"] and str(ann.games) in warning["message"]
    assert warning["message"] in ann.run_cli("status").stdout
    ben.wait_games(lambda games: "quake" not in games or games["quake"]["sources"] == 0)
    (tmp_path / "unplugged").rename(ann.games)
    ann.wait_event("health_changed", since=mark, state="ok", timeout=60)
    assert ann.status()["games_dir_problem"] is None
    offers(ben)
    ben.cli("get", "quake")


@pytest.mark.parametrize("obstacle", ["fifo", "device", "symlink", "folder", "hard link"])
def test_what_lies_in_the_way_of_a_file_neither_blocks_nor_leads_outside(lab, tmp_path, obstacle):
    ann, ben = lab.host("ann").daemon(), lab.host("ben").daemon()
    wanted = share(ann, "quake", make_tree(tmp_path / "quake", large=1 << 20, small=3))
    offers(ben)
    outside, precious = tmp_path / "outside", tmp_path / "precious"
    outside.mkdir()
    precious.write_bytes(b"precious" * (1 << 17))
    place = ben.games / "quake/data/large.bin"
    place.parent.mkdir(parents=True)
    if obstacle == "fifo":
        os.mkfifo(place)
    elif obstacle == "device":
        os.mknod(place, 0o20666, os.makedev(1, 3))
    elif obstacle == "folder":
        place.mkdir()
    elif obstacle == "hard link":
        os.link(precious, place)
    else:
        place.parent.rmdir()
        (ben.games / "quake/data").symlink_to(outside)
    result = ben.run_cli("get", "quake", timeout=60)
    assert not list(outside.iterdir()) and precious.read_bytes() == b"precious" * (1 << 17)
    if result.returncode == 0:
        assert tree(ben.games / "quake") == wanted and not (ben.games / "quake/data").is_symlink()
    else:
        assert result.stderr.count("\n") == 1 and "data" in result.stderr, result.stderr
        assert not (ben.games / "quake/version.ini").exists()
    assert ben.stop()[0] == 0


@pytest.mark.parametrize("place", [".lanspread/stage/files/data/large.bin", ".lanspread/stage/files/data",
                                   ".lanspread", "data"])
def test_a_symlink_swapped_in_while_a_download_writes_leads_nowhere(lab, tmp_path, place):
    ann, ben = lab.host("ann", rate=160_000_000).daemon(), lab.host("ben").daemon()
    wanted = share(ann, "quake", make_tree(tmp_path / "quake", large=16 << 20, small=3))
    offers(ben)
    # What would be overwritten if the link were followed: the same names, the same sizes.
    outside = tmp_path / "outside"
    (outside / "data").mkdir(parents=True)
    (outside / "data/large.bin").write_bytes(b"precious" * (2 << 20))
    shutil.copytree(outside / "data", outside / "stage/files/data")
    os.link(outside / "data/large.bin", outside / "large.bin")
    precious = tree(outside)
    ben.cli("get", "quake", "--no-wait")
    ben.wait_event("download_progress", where=lambda event: event["done"] > event["total"] / 4)
    mark, link = ben.mark(), ben.games / "quake" / place
    target = {"large.bin": "large.bin", "data": "data", ".lanspread": "."}[link.name]
    if link.exists():
        link.rename(tmp_path / "moved-away")
    link.symlink_to(outside / target)
    ended = ben.wait_any(["download_finished", "download_failed"], since=mark, timeout=60)
    assert tree(outside) == precious
    if ended["event"] == "download_failed":
        assert "\n" not in ended["error"]["message"] and ended["error"]["message"], ended
        assert not (ben.games / "quake/version.ini").exists()
    # The user takes it away again.
    if link.is_symlink():
        link.unlink()
    if ended["event"] == "download_failed":
        ben.cli("get", "quake")
    assert tree(ben.games / "quake") == wanted
    assert tree(outside) == precious
    assert ben.stop()[0] == 0


# What a person may do wrong, and what the one line on stderr must tell: on what, and the way out.
MISTAKES = {
    ("get", "nosuch"): ("nosuch", "lanspread games"), ("install", "nosuch"): ("nosuch", "lanspread games"),
    ("uninstall", "nosuch"): ("nosuch", "lanspread games"), ("remove", "nosuch"): ("nosuch", "lanspread games"),
    ("verify", "wesnoth"): ("wesnoth", "lanspread get"), ("play", "wesnoth"): ("wesnoth", "lanspread install"),
    ("get", "wensoth"): ("wensoth", 'did you mean "wesnoth"?'), ("cancel", "wensoth"): ("wensoth", 'did you mean "wesnoth"?'),
    ("limits", "--game", "nosuch", "--up", "1M"): ("nosuch", "lanspread games"),
    ("update", "nosuch"): ("nosuch", "lanspread games"), ("get", "wesnoth", "--variant", "ffff"): ("ffff", "--variant"),
    ("config", "nosuch"): ("nosuch", "there are name,"), ("torrent", "list"): ("off", "lanspread config swarm"),
    ("games-dir", "/"): ("/", "make one of its own"), ("open",): ("page", "--http off"),
    ("add", "/etc", "--id", "a/b", "--version", "1"): ("a/b", "one of"),
}
STARTS = {
    ("--interface", "nosuch0"): ("nosuch0", "ip link"), ("--listen", "192.0.2.1:0"): ("192.0.2.1", "--listen PORT"),
    ("--listen", "host"): ("host", "[ADDRESS:]PORT"), ("--peer", "host:1#12"): ("--peer host:1#12", "64 hexadecimal digits"),
    ("--peer", "host:0"): ("--peer host:0", "port 0"),
    ("--state", "/proc/nosuch"): ("/proc/nosuch", "--state DIR"), ("--games", "/"): ("/", "make one of its own"),
    ("--catalog", "/nosuch.sqlite"): ("/nosuch.sqlite", "No such file"),
}


def test_what_went_wrong_is_one_line_that_names_it_and_the_way_out(lab, tmp_path):
    ann = lab.host("ann").daemon(arguments=["--no-discovery"])
    for words, wanted in MISTAKES.items():
        result = ann.run_cli(*words, timeout=60)
        assert result.returncode in (1, 2) and result.stderr.count("\n") == 1, (words, result.stderr)
        assert all(text in result.stderr for text in wanted), (words, result.stderr)
    for number, (words, wanted) in enumerate(STARTS.items()):
        flags = {"--state": tmp_path / f"state-{number}", "--games": tmp_path / f"games-{number}", words[0]: words[1]}
        result = subprocess.run([BUILD / "app/lanspread", "run", "--no-discovery", "--http", "off", "--control",
                                 tmp_path / "sock", *(word for flag in flags.items() for word in flag)],
                                stderr=subprocess.PIPE, text=True, check=False, timeout=60, env=ann.env)
        assert result.returncode in (1, 2), (words, result.stderr)
        last = result.stderr.strip().splitlines()[-1]
        assert all(text in last for text in wanted), (words, result.stderr)


def catalogue(path):
    """One of many pages, as a user would have it."""
    with sqlite3.connect(path) as base:
        base.execute("create table games (id text, title text, readme_en text, size integer)")
        base.executemany("insert into games values (?, ?, ?, ?)", [(f"game-{i}", f"Game {i}", "x" * 500, i) for i in range(200)])
    base.close()
    return path


def damage(path, at, data):
    with open(path, "r+b") as file:
        file.seek(at)
        file.write(data)


def alter(path, statement):
    with sqlite3.connect(path) as base:
        base.execute(statement)
    base.close()


# What may be wrong with a catalogue that was asked for, and what the one line says beside the file's name.
CATALOGUES = {
    "missing": (lambda path: path.unlink(), "No such file"), "unreadable": (lambda path: path.chmod(0), "Permission denied"),
    "a folder": (lambda path: (path.unlink(), path.mkdir()), "no regular file"), "text": (lambda path: path.write_text("id,title\n"), "not a database"),
    "damaged": (lambda path: damage(path, 4096, b"\xff" * 60000), "malformed"),
    "cut": (lambda path: os.truncate(path, 40000), "malformed"), "empty": (lambda path: path.write_bytes(b""), "games"),
    "another database": (lambda path: alter(path, "alter table games rename to others"), "games"),
    "a wrong value": (lambda path: alter(path, "update games set size = 'big' where id = 'game-7'"), "size"),
}


@pytest.mark.parametrize("kind", CATALOGUES)
def test_a_catalogue_that_cannot_be_read_stops_the_start_in_one_line(tmp_path, kind):
    path, (spoil, wanted) = catalogue(tmp_path / "games.sqlite"), CATALOGUES[kind]
    # Root may read everything but for these two.
    command = ["setpriv", "--bounding-set", "-dac_override,-dac_read_search", BUILD / "app/lanspread", "run", "--no-discovery",
               "--http", "off", "--listen", "127.0.0.1:0", "--games", tmp_path / "games", "--state", tmp_path / "state",
               "--control", tmp_path / "sock", "--catalog", path]
    spoil(path)
    result = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, check=False, timeout=60)
    assert result.returncode == 1 and not result.stdout, result
    assert result.stderr.count("\n") == 1 and str(path) in result.stderr and wanted in result.stderr, result.stderr


@pytest.mark.parametrize("link", ["data/large.bin", "data"])
def test_a_link_in_a_shared_folder_is_named_with_the_way_out(lab, tmp_path, link):
    ann = lab.host("ann").daemon(arguments=["--no-discovery"])
    game = make_tree(tmp_path / "quake", large=1 << 20, small=1)
    (game / link).rename(tmp_path / "moved")
    (game / link).symlink_to(tmp_path / "moved")
    (game / "version.ini").write_text("1.0\n")
    game.rename(ann.games / "quake")
    games = ann.wait_games(lambda games: games["quake"]["problem"])
    assert f'"{link}" is a symbolic link' in games["quake"]["problem"]
    assert "add --pack" in games["quake"]["problem"]


def test_a_version_that_does_not_parse_is_named_by_games_and_by_verify(lab):
    ann = lab.host("ann").daemon()
    make_file(ann.games / "quake/data", 1000, 1)
    (ann.games / "quake/version.ini").write_text("not a version\n")
    problem = ann.wait_games(lambda games: games.get("quake", {}).get("problem"))["quake"]["problem"]
    assert problem.count("version.ini") == 1 and "20240131" in problem, problem
    assert f"quake: {problem}" in ann.run_cli("games").stdout.splitlines()
    refused = ann.run_cli("verify", "quake")
    assert refused.returncode == 1 and problem in refused.stderr and refused.stderr.count("\n") == 1, refused


def test_special_files_in_a_shared_folder_block_nobody(lab, tmp_path):
    ann = lab.host("ann").daemon(start=False)
    make_tree(ann.games / "quake", large=1 << 20, small=3)
    os.mkfifo(ann.games / "quake/pipe")
    os.mknod(ann.games / "quake/null", 0o20666, os.makedev(1, 3))
    (ann.games / "quake/version.ini").write_text("1.0\n")
    make_tree(ann.games / "doom", large=1 << 20, small=3, seed=2)
    (ann.games / "doom/version.ini").write_text("1.0\n")
    ann.start()
    ann.wait_games(lambda games: games["doom"]["content"])
    assert ann.stop()[0] == 0


# ---- Resources ----------------------------------------------------------------------------------------

def test_with_64_descriptors_a_peer_starts_shares_and_fetches(lab, tmp_path):
    few = ["prlimit", "--nofile=64:64"]
    ann, ben = lab.host("ann").daemon(wrapper=few), lab.host("ben").daemon(wrapper=few)
    wanted = share(ann, "quake", make_tree(tmp_path / "quake", large=8 << 20, small=300))
    offers(ben)
    ben.cli("get", "quake")
    assert tree(ben.games / "quake") == wanted
    soft, _ = resource.prlimit(ben.pid, resource.RLIMIT_NOFILE)
    assert soft == 64


def test_a_peer_without_free_descriptors_degrades_and_recovers(lab, tmp_path):
    """As many clients as fill its table: they are refused or wait, and when they are gone all works again."""
    few = ["prlimit", "--nofile=64:64"]
    ann = lab.host("ann").daemon(wrapper=few)
    ben = lab.host("ben").daemon()
    ann.wait_peers(1)
    clients = []
    for _ in range(80):
        client = lanlab.socket.socket(lanlab.socket.AF_UNIX)
        client.settimeout(2)
        try:
            client.connect(str(ann.control))
        except OSError:
            client.close()
            break
        clients.append(client)
    assert len(clients) > 8
    assert ann.process.poll() is None
    for client in clients:
        client.close()
    lanlab.wait_for(lambda: ann.run_cli("status").returncode == 0, what="it to answer again")
    wanted = share(ann, "quake", make_tree(tmp_path / "quake", large=4 << 20))
    offers(ben)
    ben.cli("get", "quake")
    assert tree(ben.games / "quake") == wanted
    assert ann.cli("status")["health"]["state"] == "ok"
    assert ann.stop()[0] == 0


def test_forty_peers_on_one_lan_all_see_each_other_and_one_game_reaches_them(lab, tmp_path):
    """Small ones on few hosts, since each costs memory; every tenth fetches the game."""
    hosts = [lab.host(f"h{number}") for number in range(8)]
    seed = hosts[0].daemon("seed", arguments=["--listen", "41000"])
    wanted = share(seed, "quake", make_tree(tmp_path / "quake", large=2 << 20))
    others = [hosts[number % 8].daemon(f"p{number}", arguments=["--listen", str(42000 + number)])
              for number in range(39)]
    for daemon in others:
        daemon.wait_games(lambda games: games["quake"]["sources"] >= 1 and games["quake"]["content"], timeout=90)
    for daemon in [seed, *others]:
        daemon.wait_peers(39, timeout=90)
    for daemon in others[::10]:
        daemon.cli("get", "quake")
        assert tree(daemon.games / "quake") == wanted
    assert seed.memory() < 100 << 20
    assert seed.stop()[0] == 0
