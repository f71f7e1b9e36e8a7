#!/usr/bin/env python3
"""./dev demo: a party of three on this machine.

Ann and Ben have a real game, out of Debian's own packages; Cem fetches it from both at once, verifies
every byte and installs it. With the rights for it each of them gets a network of its own (namespaces
on a switch) and they find each other by multicast; without, they are three ports on loopback that are
told of each other. The party stays until Ctrl-C, so that one can look around. --once leaves at the end.
"""

import argparse
import os
import pathlib
import signal
import socket
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests/system"))

import lanlab  # noqa: E402

PACKAGE, GAME, TITLE = "freedoom", "freedoom", "Freedoom"
PROXY = ROOT / "tests/system/lanlab.py"


def say(text=""):
    print(text, flush=True)


def size(count):
    for unit in ("bytes", "kB", "MB"):
        if count < 1000:
            return f"{count:.1f} {unit}" if unit != "bytes" else f"{count} {unit}"
        count /= 1000
    return f"{count:.2f} GB"


# ---- The game -----------------------------------------------------------------------------------------

def apt_download(folder):
    """The package's file, by apt, as whoever we are; with package lists of our own if there are none."""
    private = []
    for part in ("state/lists/partial", "cache/archives/partial"):
        (folder / "apt" / part).mkdir(parents=True)
    own = ["-o", f"Dir::State={folder}/apt/state", "-o", f"Dir::Cache={folder}/apt/cache",
           "-o", "Dir::State::status=/var/lib/dpkg/status", "-o", "APT::Sandbox::User="]
    if subprocess.run(["apt-cache", "show", PACKAGE], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                      check=False).returncode:
        private = own
        subprocess.run(["apt-get", *private, "-q", "update"], check=True, stdout=subprocess.DEVNULL)
    subprocess.run(["apt-get", *private, "-q", "-o", "APT::Sandbox::User=", "download", PACKAGE], cwd=folder,
                   check=True, stdout=subprocess.DEVNULL)
    return next(folder.glob(f"{PACKAGE}_*.deb"))


def fetch_game(folder):
    """A folder with the game as a player would have it, and its version."""
    folder.mkdir()
    package = apt_download(folder)
    version = package.name.split("_")[1].split("-")[0].split("+")[0]
    subprocess.run(["dpkg-deb", "-x", package, folder / "unpacked"], check=True)
    game = folder / "game"
    game.mkdir()
    for wad in (folder / "unpacked/usr/share/games/doom").glob("*.wad"):
        if not wad.is_symlink():
            wad.rename(game / wad.name)
    notes = folder / f"unpacked/usr/share/doc/{PACKAGE}/copyright"
    if notes.exists():
        notes.rename(game / "LICENCE.txt")
    start = game / "start.sh"
    start.write_text("#!/bin/sh\n"
                     "# Any Doom engine will do.\n"
                     "for engine in gzdoom dsda-doom crispy-doom chocolate-doom prboom-plus; do\n"
                     "\tif command -v \"$engine\" >/dev/null; then\n"
                     "\t\texec \"$engine\" -iwad freedoom1.wad \"$@\"\n"
                     "\tfi\n"
                     "done\n"
                     "echo 'Install a Doom engine, such as the package chocolate-doom.' >&2\n"
                     "exit 1\n")
    start.chmod(0o755)
    return game, version


# ---- The party ----------------------------------------------------------------------------------------

def free_port():
    """A TCP port on loopback, with the socket that holds it."""
    holder = socket.socket()
    holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    holder.bind(("127.0.0.1", 0))
    holder.listen()
    return holder, holder.getsockname()[1]


def start_party(lab):
    """Ann, Ben and Cem. Cem's page is brought out of his namespace to a port of this machine."""
    if lab.namespaces:
        ann, ben = lab.host("ann").daemon(), lab.host("ben").daemon()
        holder, port = free_port()
        cem = lab.host("cem").daemon(http=f"127.0.0.1:{port}")
        os.set_inheritable(holder.fileno(), True)
        lab.start([sys.executable, PROXY, "proxy", holder.fileno(), cem.host.namespace, port], pass_fds=[holder.fileno()])
        return ann, ben, cem
    ann = lab.host("ann").daemon()
    return ann, lab.host("ben").daemon(), lab.host("cem").daemon(http="127.0.0.1:0")


def share(daemon, game, version):
    say(f"{daemon.name.title()} adds it:")
    subprocess.run([lanlab.BUILD / "app/lanspread", "add", game, "--control", daemon.control, "--id", GAME, "--title", TITLE,
                    "--version", version], check=True, env=daemon.env)


def install(daemon):
    """With a progress bar where there is a terminal. Seconds that it took."""
    begun = time.monotonic()
    subprocess.run([lanlab.BUILD / "app/lanspread", "install", GAME, "--control", daemon.control], check=True,
                   env=daemon.env)
    return time.monotonic() - begun


def best_rate(daemon):
    """Bytes a second, the highest sample of the daemon's own."""
    return max((event.get("rate") or 0 for event in daemon.events if event["event"] == "download_progress"), default=0)


def report(cem, holders, seconds):
    peers = cem.list_peers()
    total = 0
    say()
    say("who gave Cem what:")
    for holder in holders:
        received = peers[holder.peer_id]["received"]
        total += received
        say(f"  {holder.name:4} {size(received)}")
    best = best_rate(cem)
    say(f"  {size(total)} in {seconds:.1f} s with everything (asking, writing, verifying, installing)" +
        (f"; up to {size(best)} a second" if best else ""))
    return total


def check(cem, game):
    wanted, here = lanlab.tree(game), lanlab.tree(cem.games / GAME)
    installed = lanlab.tree(cem.games / GAME / "local", without=())
    if here != wanted:
        raise lanlab.LabError("the download differs from the original")
    if {name: digest for name, digest in installed.items() if name != "version.ini"} != wanted:
        raise lanlab.LabError("the installation differs from the original")
    say(f"every byte checked: {len(wanted)} files are the same as Ann's, downloaded and installed")


def look_around(lab, ann, ben, cem):
    program = lanlab.BUILD / "app/lanspread"
    if program.is_relative_to(pathlib.Path.cwd()):
        program = program.relative_to(pathlib.Path.cwd())
    say()
    say("The party goes on until Ctrl-C. Look around from another terminal:")
    for daemon, command in ((cem, "games"), (cem, "peers"), (ann, "status"), (ben, "tasks")):
        say(f"  {program} {command} --control {daemon.control}")
    if cem.ready.get("page"):
        say(f"Cem's page: {cem.ready['page']}")


def wait_for_ctrl_c():
    signals = {signal.SIGINT, signal.SIGTERM}
    signal.pthread_sigmask(signal.SIG_BLOCK, signals)
    signal.sigwait(signals)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, signals)
    say()


def end_party(daemons):
    for daemon in daemons:
        code, seconds = daemon.stop()
        if code:
            raise lanlab.LabError(f"{daemon.name} exited with {code} after {seconds:.1f} s")
    say("everybody said goodbye and left")


def party(lab, once):
    say("taking a real game out of Debian's packages ...")
    game, version = fetch_game(lab.folder / "package")
    total = sum(path.stat().st_size for path in game.rglob("*") if path.is_file())
    say(f"  {TITLE} {version}, {size(total)}")
    begun = time.monotonic()
    ann, ben, cem = start_party(lab)
    for daemon in (ann, ben, cem):
        daemon.wait_peers(2)
    say(f"Ann, Ben and Cem found each other ({time.monotonic() - begun:.1f} s)")
    for daemon in (ann, ben):
        share(daemon, game, version)
    cem.wait_games(lambda games: games[GAME]["sources"] == 2 and games[GAME]["content"])
    say("Ann and Ben have the game; Cem fetches it from both and installs it:")
    seconds = install(cem)
    if report(cem, (ann, ben), seconds) < total:
        raise lanlab.LabError("fewer bytes were counted than the game has")
    check(cem, game)
    if not once:
        look_around(lab, ann, ben, cem)
        wait_for_ctrl_c()
    end_party((cem, ben, ann))


def main():
    parser = argparse.ArgumentParser(prog="./dev demo", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--once", action="store_true", help="leave when everything is shown")
    parser.add_argument("--loopback", action="store_true", help="do without namespaces")
    parser.add_argument("--build", type=pathlib.Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.build:
        lanlab.BUILD = options.build.resolve()
    able, reason = lanlab.can_make_namespaces()
    if options.loopback:
        able, reason = False, "as asked"
    elif not able and os.geteuid() != 0:
        reason += "; with `sudo ./dev demo` each gets a network of its own"
    say("each peer gets a network of its own, on one switch" if able else
        f"the peers are ports on loopback ({reason})")
    with lanlab.Lab(namespaces=able) as lab:
        try:
            party(lab, options.once)
        except (lanlab.LabError, subprocess.CalledProcessError) as error:
            say(f"demo: {error}")
            say(lab.logs())
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
