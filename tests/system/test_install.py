"""From a download to a game that is played, and back, by the commands of a person."""

import io
import itertools
import os
import pathlib
import re
import select
import shutil
import struct
import subprocess
import sys
import tarfile
import zlib

import pytest

from lanlab import PATIENCE, ROOT, make_file, make_tree, tree

sys.path.insert(0, str(ROOT / "tools"))
import demo  # noqa: E402


def pack(path, files):
    """A tar of {name: text}; what ends in .sh may be executed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w") as tar:
        for name, text in files.items():
            info = tarfile.TarInfo(name)
            info.size, info.mtime = len(text.encode()), 1_600_000_000
            info.mode = 0o755 if name.endswith(".sh") else 0o644
            tar.addfile(info, io.BytesIO(text.encode()))
    return path


def lay(daemon, game, files, version="1.0"):
    """A downloaded game of one archive, as a copy by hand leaves it."""
    pack(daemon.games / game / "game.eti", files)
    (daemon.games / game / "version.ini").write_text(version if "=" in version else version + "\n")


class Gate:
    """An unpacker that takes one archive apart each time the test lets it."""

    def __init__(self, folder):
        self.fifo, self.command = folder / "gate", folder / "unpacker"
        os.mkfifo(self.fifo)
        self.command.write_text(f'''#!/bin/sh
read go <"{self.fifo}"
exec python3 -c "import sys, tarfile; tarfile.open(sys.argv[1]).extractall(sys.argv[2])" "$1" "$2"
''')
        self.command.chmod(0o755)
        self.held = os.open(self.fifo, os.O_RDWR)

    def open(self):
        os.write(self.held, b"go\n")


@pytest.fixture
def gate(tmp_path):
    return Gate(tmp_path)


def names_of(daemon, game, since=0):
    return [event["event"] for event in daemon.events[since:] if event.get("game") == game and
            not event["event"].endswith("_progress")]


# ---- A real game ---------------------------------------------------------------------------------------

def headless_engine(folder):
    """A chocolate-doom that plays the game's own demo without a screen, as fast as it can."""
    engine = shutil.which("chocolate-doom", path=os.environ["PATH"] + ":/usr/games")
    if not engine:
        pytest.skip("chocolate-doom is not installed: nothing can play the game")
    wrapper = folder / "chocolate-doom"
    wrapper.write_text(f'#!/bin/sh\nexec {engine} "$@" -nosound -nogui -savedir . -statdump statistics.txt -timedemo demo1\n')
    wrapper.chmod(0o755)
    return {"PATH": f"{folder}:/usr/bin:/bin", "SDL_VIDEODRIVER": "dummy", "SDL_AUDIODRIVER": "dummy"}


def test_a_real_game_is_added_fetched_installed_played_updated_and_uninstalled(lab, tmp_path):
    headless = headless_engine(tmp_path)
    try:
        game, version = demo.fetch_game(tmp_path / "package")
    except (OSError, subprocess.CalledProcessError, StopIteration) as error:
        pytest.skip(f"the package {demo.PACKAGE} cannot be downloaded here: {error}")
    ann, ben = lab.host("ann").daemon(), lab.host("ben").daemon()
    second = game / "freedoom2.wad"
    later = second.rename(tmp_path / second.name)
    first_files = tree(game, without=())
    ann.add_game("freedoom", game, version=version, title="Freedoom", pack=True)
    ben.wait_games(lambda games: games["freedoom"]["sources"] == 1 and games["freedoom"]["content"])
    assert ben.cli("get", "freedoom")["game"]["availability"] == "downloaded"
    assert ben.cli("install", "freedoom")["game"]["availability"] == "installed"
    local = ben.games / "freedoom/local"
    assert tree(local, without=()) == first_files

    ben.env.update(headless)
    played = ben.run_cli("play", "freedoom")
    assert re.search(r"timed \d+ gametics", played.stdout + played.stderr), played.stderr
    assert (local / "statistics.txt").exists()
    (local / "doomsav0.dsg").write_bytes(b"forty hours")

    later.rename(second)
    newest = version + ".1"
    cem = lab.host("cem").daemon()
    cem.add_game("freedoom", game, version=newest, title="Freedoom", pack=True)
    ben.wait_games(lambda games: games["freedoom"]["latest_version"] == newest)
    updated = ben.cli("update", "freedoom")["game"]
    assert updated["local_version"] == newest and updated["availability"] == "installed"
    installed = tree(local, without=())
    assert installed.pop("statistics.txt") and installed.pop("doomsav0.dsg") and installed == tree(game, without=())

    result = ben.cli("uninstall", "freedoom")
    assert re.fullmatch(r"local\.kept-\d{4}-\d\d-\d\d", result["kept"])
    assert result["game"]["availability"] == "downloaded" and not local.exists()
    kept = ben.games / "freedoom" / result["kept"]
    assert (kept / "doomsav0.dsg").read_bytes() == b"forty hours"
    assert set(tree(kept, without=())) == {"doomsav0.dsg", "statistics.txt"}
    assert tree(ben.games / "freedoom") == tree(cem.games / "freedoom")


# ---- Commands go where the state says ------------------------------------------------------------------

def test_commands_are_answered_by_what_is_here(lab, tmp_path):
    ann, ben = lab.host("ann").daemon(), lab.host("ben").daemon()
    lay(ann, "quake", {"start.sh": "#!/bin/sh\n", "data.txt": "one"})
    assert ben.run_cli("install", "quack").returncode == 1
    ben.wait_games(lambda games: games["quake"]["content"])
    assert ben.run_cli("uninstall", "quake").returncode == 1
    # No version.ini: download, then install.
    assert ben.cli("install", "quake")["game"]["availability"] == "installed"
    ben.wait_event("install_finished")
    assert names_of(ben, "quake") == ["got_game_files", "download_begin", "download_finished", "install_begin",
                                      "install_finished"]
    # Installed: nothing to do but play.
    mark = ben.mark()
    answer = ben.cli("install", "quake")
    assert answer["operation"] == "none" and "play" in answer["message"]
    assert ben.cli("get", "quake")["operation"] == "none"
    assert ben.cli("update", "quake")["operation"] == "none"
    assert ben.cli("cancel", "quake")["cancelled"] is False
    assert not names_of(ben, "quake", mark)
    # Archives without local/: install, and no download.
    assert ben.cli("uninstall", "quake")["game"]["availability"] == "downloaded"
    assert ben.cli("install", "quake")["game"]["availability"] == "installed"
    ben.wait_event("install_finished", since=mark)
    assert names_of(ben, "quake", mark) == ["uninstall_begin", "uninstall_finished", "install_begin", "install_finished"]
    assert ben.run_cli("uninstall", "nothing").returncode == 1


def test_every_operation_tells_how_far_it_is_to_its_end(lab, tmp_path):
    ann, ben = lab.host("ann", rate=160_000_000).daemon(), lab.host("ben").daemon()
    make_file(tmp_path / "folder/level", 16 << 20, 6)

    def publish(version):
        archive = pack(ann.games / "quake/game.eti", {"data.txt": version})
        with tarfile.open(archive, "a") as tar:
            tar.add(tmp_path / "folder/level", "level")
        (ann.games / "quake/version.ini").write_text(version + "\n")
        ben.wait_games(lambda games: games["quake"]["latest_version"] == version and games["quake"]["content"])

    def told(operation, act):
        """Each phase goes forward; the last that counts bytes ends with all of them. Nobody knows how long a sync takes."""
        mark = ben.mark()
        act()
        ben.wait_event(f"{operation}_finished", since=mark)
        samples = [event for event in ben.events[mark:] if event["event"] == f"{operation}_progress"]
        counted = [sample for sample in samples if sample["total"] > 0]
        assert counted and counted[-1]["done"] == counted[-1]["total"], samples
        assert all(sample["phase"] for sample in samples)
        assert all(one["done"] <= other["done"] for one, other in itertools.pairwise(counted)
                   if one["phase"] == other["phase"]), samples
        return counted

    publish("1.0")
    assert len(told("download", lambda: ben.cli("get", "quake"))) > 3
    told("install", lambda: ben.cli("install", "quake"))
    told("verify", lambda: ben.cli("verify", "quake"))
    publish("1.1")
    told("update", lambda: ben.cli("update", "quake"))
    told("add", lambda: ben.add_game("mine", tmp_path / "folder"))


def test_installed_without_its_archive_is_local_only_and_comes_back_by_get_and_update(lab):
    ann, ben = lab.host("ann").daemon(), lab.host("ben").daemon()
    lay(ann, "quake", {"data.txt": "one"})
    ben.wait_games(lambda games: games["quake"]["content"])
    ben.cli("install", "quake")
    ben.cli("remove", "quake")
    game = ben.list_games()["quake"]
    assert (game["availability"], game["local_version"]) == ("local_only", "1.0")
    assert (ben.games / "quake/local/data.txt").read_text() == "one"
    assert "play" in ben.cli("install", "quake")["message"]
    ben.cli("get", "quake")
    assert ben.list_games()["quake"]["availability"] == "installed"
    ben.cli("remove", "quake")
    lay(ann, "quake", {"data.txt": "two"}, "1.1")
    # Beside the version that is here stands the newest there is.
    games = ben.wait_games(lambda games: games["quake"]["latest_version"] == "1.1" and games["quake"]["variants"] == 1)
    assert games["quake"]["local_version"] == "1.0"
    game = ben.cli("update", "quake")["game"]
    assert (game["availability"], game["local_version"]) == ("installed", "1.1")
    assert (ben.games / "quake/local/data.txt").read_text() == "two"


def test_an_older_version_here_is_said_and_update_is_suggested(lab):
    ann, ben = lab.host("ann").daemon(), lab.host("ben").daemon()
    lay(ann, "quake", {"data.txt": "two"}, "1.1")
    lay(ben, "quake", {"data.txt": "one"}, "1.0")
    games = ben.wait_games(lambda games: games["quake"]["latest_version"] == "1.1" and games["quake"]["local_version"])
    assert games["quake"]["local_version"] == "1.0"
    answer = ben.cli("get", "quake")
    assert answer["operation"] == "none" and "update" in answer["message"]


def test_cancel_ends_an_install_and_nothing_of_it_stays(lab, gate):
    ben = lab.host("ben").daemon(start=False, arguments=["--unpacker", gate.command])
    lay(ben, "quake", {"data.txt": "one"})
    ben.start()
    ben.wait_games(lambda games: games["quake"]["availability"] == "downloaded")
    waiting = ben.start_cli("install", "quake")
    ben.wait_event("local_games_updated",
                   where=lambda event: {"game": "quake", "operation": "installing"} in event["operations"])
    refused = ben.run_cli("uninstall", "quake")
    assert refused.returncode == 1
    assert ben.cli("cancel", "quake")["cancelled"] is True
    assert waiting.wait(60) == 1
    ben.wait_games(lambda games: games["quake"]["operation"] == "none")
    assert ben.list_games()["quake"]["availability"] == "downloaded"
    assert not (ben.games / "quake/local").exists() and not (ben.games / "quake/.lanspread/install").exists()
    gate.open()
    assert ben.cli("install", "quake")["game"]["availability"] == "installed"


def test_the_games_folder_stays_while_operations_run_and_is_validated(lab, gate, tmp_path):
    ben = lab.host("ben").daemon(start=False, arguments=["--unpacker", gate.command])
    lay(ben, "quake", {"data.txt": "one"})
    # The folder comes from the settings: a flag would fix it.
    command = ben.command
    ben.command = lambda: [word for word in command() if word not in ("--games", ben.games)]
    ben.state.mkdir(exist_ok=True)
    (ben.state / "config.json").write_text('{"games_dir": "%s"}\n' % ben.games)
    ben.start()
    ben.wait_games(lambda games: games["quake"]["availability"] == "downloaded")
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    ben.cli("install", "quake", "--no-wait")
    ben.wait_event("install_begin")
    refused = ben.run_cli("games-dir", elsewhere)
    assert refused.returncode == 1 and "operations run" in refused.stderr
    assert ben.run_cli("games-dir", ben.games).returncode == 0
    gate.open()
    ben.wait_event("install_finished")
    ben.wait_games(lambda games: games["quake"]["operation"] == "none")
    bad = tmp_path / "a file"
    bad.write_text("")
    for path in (bad, ben.state, "/proc"):
        refused = ben.run_cli("games-dir", path)
        assert refused.returncode == 1 and refused.stderr.count("\n") == 1
    assert ben.run_cli("games-dir", elsewhere).returncode == 0
    ben.wait_games(lambda games: "quake" not in games)
    assert pathlib.Path(ben.cli("games-dir")["games_dir"]) == elsewhere


def test_after_an_operation_only_that_game_is_looked_at(lab, tmp_path):
    if not shutil.which("strace"):
        pytest.skip("strace is not installed")
    ben = lab.host("ben").daemon(start=False)
    for game in ("quake", "other"):
        lay(ben, game, {"data.txt": game})
    ben.start()
    ben.wait_games(lambda games: all(games[game]["content"] for game in ("quake", "other")))
    ben.cli("install", "quake")
    log = tmp_path / "calls"
    tracer = lab.start(["strace", "-f", "-y", "-o", log, "-e", "trace=file", "-p", ben.pid], stderr=subprocess.PIPE,
                       text=True)
    assert "attached" in tracer.stderr.readline()
    ben.cli("uninstall", "quake")
    tracer.terminate()
    tracer.wait()
    calls = log.read_text(errors="replace")
    looks = re.compile(r"(/games/%s\b|\"%s(/[^\"]*)?\")")
    assert re.search(looks.pattern % ("quake", "quake"), calls)
    assert not re.search(looks.pattern % ("other", "other"), calls)


# ---- Add ------------------------------------------------------------------------------------------------

def png(path):
    """One black pixel."""
    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", 1, 1, 8, 0, 0, 0, 0)) +
                     chunk(b"IDAT", zlib.compress(b"\0\0")) + chunk(b"IEND", b""))


def test_add_takes_a_folder_or_an_archive_packs_and_enters_the_catalogue(lab, tmp_path):
    ann, ben = lab.host("ann").daemon(), lab.host("ben").daemon()
    folder = make_tree(tmp_path / "mine", large=8 << 20)
    png(folder / "cover.png")
    ann.add_game("plain", folder, title="Plain files")
    ann.add_game("packed", folder, title="One archive", pack=True)
    ann.add_game("archive", pack(tmp_path / "archive.eti", {"a.txt": "a"}), version="20240131", title="An archive")
    ann.wait_event("add_progress", game="packed")
    assert tree(ann.games / "plain") == tree(folder)
    assert sorted(path.name for path in (ann.games / "packed").iterdir() if path.is_file()) == ["packed.tar", "version.ini"]
    for game, version in (("plain", "1.0"), ("packed", "1.0"), ("archive", "20240131")):
        found = ann.wait_games(lambda games, game=game: games[game]["content"])[game]
        assert found["local_version"] == version and found["availability"] == "downloaded"
        times = [path.stat().st_ctime_ns for path in (ann.games / game).rglob("*") if path.is_file()]
        assert (ann.games / game / "version.ini").stat().st_ctime_ns == max(times)
    shelf = ann.list_games()
    assert shelf["plain"]["title"] == "Plain files" and shelf["plain"]["cover"] is True
    assert {entry["id"] for entry in ann.cli("catalog", "show")["games"]} >= {"plain", "packed", "archive"}
    again = ann.run_cli("add", folder, "--id", "plain", "--title", "x", "--version", "2")
    assert again.returncode == 1 and "plain" in again.stderr
    for game in ("plain", "packed", "archive"):
        ben.wait_games(lambda games, game=game: games[game]["content"])
        assert ben.cli("install", game)["game"]["availability"] == "installed"
    for game in ("plain", "packed"):
        assert tree(ben.games / game / "local", without=()) == tree(folder, without=())


# ---- Play -----------------------------------------------------------------------------------------------

class Ran:
    """What programs of the test tell when they are run."""

    def __init__(self, path):
        os.mkfifo(path)
        self.path, self.end = path, os.open(path, os.O_RDWR)

    def line(self, patience):
        """The next one, or None when none came."""
        ready, _, _ = select.select([self.end], [], [], patience)
        return os.read(self.end, 4096).decode().splitlines()[0] if ready else None


def program(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("#!/bin/sh\n" + text)
    path.chmod(0o755)


def test_play_starts_what_the_game_says_and_only_on_command(lab, tmp_path):
    ran, tools = Ran(tmp_path / "ran"), tmp_path / "tools"
    for tool in ("wine", "xdg-open"):
        program(tools / tool, f'echo {tool} "$@" >"{ran.path}"\n')
    ben = lab.host("ben").daemon(start=False, env={"PATH": f"{tools}:/usr/bin:/bin", "DISPLAY": ":none"})
    say = f'#!/bin/sh\necho "$0" "$@" in "$PWD" >"{ran.path}"\n'
    lay(ben, "script", {"start.sh": say})
    lay(ben, "named", {"bin/run.sh": say}, "version=1.0\nstart=bin/run.sh -window 2\n")
    lay(ben, "windows", {"Bin/Game.EXE": "MZ"}, "version=1.0\nstart=Bin/Game.EXE\n")
    lay(ben, "silent", {"readme": "no start here"})
    ben.start()
    games = ("script", "named", "windows", "silent")
    ben.wait_games(lambda shelf: all(shelf[game]["availability"] == "downloaded" for game in games))
    assert ben.run_cli("play", "script").returncode == 1  # not installed
    for game in games:
        ben.cli("install", game)
    local = {game: (ben.games / game / "local").resolve() for game in games}
    expected = {"script": f"{local['script']}/start.sh in {local['script']}",
                "named": f"{local['named']}/bin/run.sh -window 2 in {local['named']}/bin",
                "windows": f"wine {local['windows']}/Bin/Game.EXE", "silent": f"xdg-open {local['silent']}"}
    assert ran.line(0) is None  # installing started nothing
    for game in games:
        result = ben.run_cli("play", game)
        assert result.returncode == 0, result.stderr
        assert ran.line(PATIENCE) == expected[game]
    del ben.env["DISPLAY"]
    nowhere = ben.run_cli("play", "silent")
    assert nowhere.returncode == 1 and str(local["silent"]) in nowhere.stderr
    assert ran.line(0) is None


# ---- Adopt ----------------------------------------------------------------------------------------------

@pytest.mark.parametrize("how", ["renamed", "copied", "other names inside"])
def test_what_the_user_has_already_costs_no_download(lab, tmp_path, how):
    ann, ben = lab.host("ann").daemon(), lab.host("ben").daemon(start=False)
    make_tree(ann.games / "quake", large=8 << 20)
    (ann.games / "quake/version.ini").write_text("1.0\n")
    # Somebody's own name for it; or under the right one, by hand and without a version.ini.
    mine = ben.games / ("quake" if how == "copied" else "my old quake")
    shutil.copytree(ann.games / "quake", mine, ignore=shutil.ignore_patterns(".lanspread"))
    if how == "copied":
        (mine / "version.ini").unlink()
    if how == "other names inside":
        (mine / "data").rename(mine / "stuff")
        (mine / "stuff/large.bin").rename(mine / "stuff/big.dat")
    ben.start()
    ben.wait_games(lambda games: games["quake"]["content"] and
                   (how == "copied" or games["my old quake"]["content"]))
    before = ben.status()["received"]
    assert ben.cli("get", "quake")["game"]["availability"] == "downloaded"
    assert tree(ben.games / "quake") == tree(ann.games / "quake")
    assert not list((ben.games / "quake").glob("local.kept-*"))
    version = (ann.games / "quake/version.ini").stat().st_size
    assert ben.status()["received"] - before <= (version if how == "copied" else 0)
