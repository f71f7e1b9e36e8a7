"""The games that the crash tests break: five files, an old version and a new one, and a user's files."""

import io
import os
import subprocess
import tarfile

def snapshot(game, hidden=False):
    """What a person or a peer sees, and the record; without what is staged for ever invisible."""
    state = {}
    for path in sorted(game.rglob("*")):
        name = str(path.relative_to(game))
        if name.startswith(".lanspread") and name != ".lanspread/installed" and not hidden:
            continue
        if path.is_symlink():
            state[name] = ("link", os.readlink(path))
        elif path.is_dir():
            state[name] = ("folder",)
        else:
            state[name] = (path.stat().st_mode & 0o777, path.read_bytes())
    return state


def archive(path, version, link=True):
    """Five files and a link; two change with the version, one comes and one goes."""
    files = {"game.bin": version * 3000, "data/level.dat": "level" * 500,
             "data/shared.cfg": "defaults " + version, "start.sh": "#!/bin/sh\n",
             f"only-in-{version}.txt": version}
    with tarfile.open(path, "w") as tar:
        for name, text in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(text)
            info.mtime = 1_600_000_000
            info.mode = 0o755 if name.endswith(".sh") else 0o644
            tar.addfile(info, io.BytesIO(text.encode()))
        if link:
            info = tarfile.TarInfo("level")
            info.type = tarfile.SYMTYPE
            info.linkname = "data/level.dat"
            tar.addfile(info)


def drive(driver, operation, game):
    subprocess.run([driver, operation, str(game)], check=True)


def user_files(game):
    (game / "local/saves").mkdir()
    (game / "local/saves/slot1.sav").write_text("forty hours")
    (game / "local/data/shared.cfg").write_text("my own settings")
    (game / "local/data/level.dat").write_text("edited level")


USER_TEXTS = (b"forty hours", b"my own settings", b"edited level")


def make_downloaded(driver, game):
    game.mkdir(parents=True)
    archive(game / "game.eti", "one")
    (game / "version.ini").write_text("20240101\n")


def make_installed(driver, game):
    make_downloaded(driver, game)
    drive(driver, "install", game)
    user_files(game)


def make_updatable(driver, game):
    make_installed(driver, game)
    stage = game / ".lanspread/stage/files"
    stage.mkdir(parents=True)
    archive(stage / "game.eti", "two")
    (stage / "version.ini").write_text("20250101\n")


SCENARIOS = {
    "install": make_downloaded, "update": make_updatable, "uninstall": make_installed,
    "purge": make_installed, "remove": make_installed,
}
