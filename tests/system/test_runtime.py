"""The runtime under a real peer: services that die, and the end at the worst of moments."""

import ctypes
import errno
import os
import pathlib
import random
import resource
import signal
import socket
import subprocess

import pytest

import lanlab
from lanlab import Lab, make_file, make_tree, tree

pytestmark = pytest.mark.alone

SYS_PIDFD_OPEN, SYS_PIDFD_GETFD = 434, 438


def descriptors(daemon, what):
    """Its open descriptors whose link begins with that."""
    found = []
    for entry in pathlib.Path(f"/proc/{daemon.pid}/fd").iterdir():
        try:
            if os.readlink(entry).startswith(what):
                found.append(int(entry.name))
        except OSError:
            pass
    return found


def borrow(daemon, descriptor):
    """The same open file in this process."""
    pidfd = os.pidfd_open(daemon.pid)
    fd = lanlab.LIBC.syscall(SYS_PIDFD_GETFD, pidfd, descriptor, 0)
    number = ctypes.get_errno()
    os.close(pidfd)
    if fd < 0 and number in (errno.ENOSYS, errno.EPERM):
        pytest.skip(f"pidfd_getfd: {os.strerror(number)}")
    return fd


def udp_sockets(daemon):
    """Its QUIC sockets, as sockets of this process."""
    found = []
    for descriptor in descriptors(daemon, "socket:"):
        fd = borrow(daemon, descriptor)
        if fd < 0:
            continue  # closed meanwhile
        sock = socket.socket(fileno=fd)
        if sock.type == socket.SOCK_DGRAM and sock.family in (socket.AF_INET, socket.AF_INET6):
            found.append(sock)
        else:
            sock.close()
    assert found
    return found


def break_udp_sockets(daemon):
    """Shuts down its QUIC sockets behind its back: from now on the kernel refuses them."""
    for sock in udp_sockets(daemon):
        try:
            sock.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass  # "not connected", and shut down all the same
        sock.close()


def test_bursts_have_room_in_the_sockets_buffers(lab):
    """By root, as here; others get what net.core.rmem_max and wmem_max allow."""
    for sock in udp_sockets(lab.host("ann").daemon()):
        for kind in (socket.SO_RCVBUF, socket.SO_SNDBUF):
            assert sock.getsockopt(socket.SOL_SOCKET, kind) >= 8 << 20
        sock.close()


@pytest.mark.parametrize("company", ["alone", "with a peer"])
def test_quic_killed_under_a_running_peer_reaches_every_client_before_its_stream_closes(lab, company):
    ann = lab.host("ann").daemon(http="127.0.0.1:0")
    clients = [ann.start_cli("watch") for _ in range(5)]
    for client in clients:
        assert "local_games_updated" in client.stdout.readline()
    if company == "with a peer":
        ben = lab.host("ben").daemon()
        ben.wait_peers(1)
        ann.wait_peers(1)
    break_udp_sockets(ann)
    assert ann.process.wait(60) == 1
    for client in clients:
        events = [lanlab.json.loads(line) for line in client.communicate(timeout=60)[0].splitlines()]
        assert events[-1]["event"] == "runtime_failed"
        assert events[-1]["component"] == "quic" and "socket" in events[-1]["error"]["message"]
    ann.wait_event("_stream_closed")
    names = [event["event"] for event in ann.events]
    assert names.count("runtime_failed") == 1 and names[-2:] == ["runtime_failed", "_stream_closed"]
    last = ann.log.read_text().splitlines()[-1]
    assert "quic failed" in last and "socket" in last
    assert not ann.control.exists() and not ann.children()
    if company == "with a peer":
        ben.wait_event("peer_disconnected", peer=ann.peer_id)


def test_a_dead_library_monitor_is_visible_in_status_and_the_peer_goes_on(lab, tmp_path):
    ann, ben = lab.host("ann").daemon(), lab.host("ben").daemon()
    ben.wait_peers(1)
    # poll(2) refuses more descriptors than the limit allows: the monitor's next wait is an error. Clients
    # that are connected meanwhile may be cut off; they come again.
    usual = resource.prlimit(ann.pid, resource.RLIMIT_NOFILE)
    resource.prlimit(ann.pid, resource.RLIMIT_NOFILE, (1, usual[1]))
    (ann.games / "stir").mkdir()
    try:
        ann.wait_log("library-monitor")
        ann.wait_event("health_changed")  # the daemon's own wait was over for it, and the next one is refused, too
    finally:
        resource.prlimit(ann.pid, resource.RLIMIT_NOFILE, usual)
    monitor = lanlab.wait_for(lambda: ann.run_cli("status").returncode == 0 and ann.service("library-monitor"))
    assert "library-monitor" in ann.status()["health"]["degraded"]
    assert monitor["state"] == "failed" and monitor["restarts"] == 0 and monitor["error"]
    folder = make_tree(tmp_path / "mine", large=1 << 20, small=3)
    ann.cli("add", folder, "--id", "mine", "--title", "Mine", "--version", "1.0", timeout=60)
    ben.wait_games(lambda games: games["mine"]["sources"] == 1 and games["mine"]["content"])
    ben.cli("get", "mine")
    assert tree(ben.games / "mine") == tree(folder)
    assert ann.stop()[0] == 0


# ---- The end, at any moment ---------------------------------------------------------------------------

def ends_cleanly(daemon, moment):
    """SIGTERM now: exit 0 within 2 s, and nothing is left behind."""
    children = daemon.children()
    code, seconds = daemon.stop()
    assert code == 0, f"{moment}: {daemon.log.read_text()[-2000:]}"
    assert seconds < 2, f"{moment}: {seconds:.2f} s\n{daemon.log.read_text()[-2000:]}"
    assert not [pid for pid in children if pathlib.Path(f"/proc/{pid}").exists()], moment
    assert not daemon.control.exists(), moment
    assert not list(daemon.state.rglob("*.tmp")), moment


def test_it_ends_from_any_moment_of_its_start(lab):
    """The library is large enough that the first scan is among the moments."""
    ann = lab.host("ann").daemon(start=False)
    for game in range(40):
        for number in range(50):
            path = ann.games / f"game-{game}/{number % 5}/file-{number}"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(b"x" * 100)
        (ann.games / f"game-{game}/version.ini").write_text("1\n")
    choice = random.Random(11)
    ann.start()
    usual = lanlab.time.monotonic() - ann.started
    ann.stop()
    before_it_began = 0
    for _ in range(25):
        ann.spawn()
        try:
            ann.process.wait(choice.uniform(0, 1.5) * usual)
            pytest.fail("it ended by itself: " + ann.log.read_text()[-1000:])
        except subprocess.TimeoutExpired:
            pass
        begun = lanlab.time.monotonic()
        ann.process.send_signal(signal.SIGTERM)
        code = ann.process.wait(60)
        assert lanlab.time.monotonic() - begun < 2, ann.log.read_text()[-2000:]
        before_it_began += code == -signal.SIGTERM  # it had not yet said what the signal shall mean
        assert code in (0, -signal.SIGTERM), ann.log.read_text()[-2000:]
        assert not ann.control.exists() and not list(ann.state.rglob("*.tmp"))
    assert before_it_began < 20


def test_it_ends_while_it_hashes(lab, tmp_path):
    """16 GiB of a sparse file, so that it is in the midst of it."""
    ann = lab.host("ann").daemon()
    (ann.games / "huge").mkdir()
    with open(ann.games / "huge/data", "wb") as file:
        file.truncate(16 << 30)
    (ann.games / "huge/version.ini").write_text("1\n")
    ann.wait_games(lambda games: games["huge"]["operation"] == "hashing")
    ends_cleanly(ann, "hashing")


def test_it_ends_amid_twenty_downloads(lab, tmp_path):
    ann = lab.host("ann", rate=40_000_000).daemon()
    for number in range(20):
        make_file(ann.games / f"game-{number}/data", 2 << 20, number)
        (ann.games / f"game-{number}/version.ini").write_text("1\n")
    ben = lab.host("ben").daemon()
    ben.wait_games(lambda games: sum(1 for game in games.values() if game["content"] and game["sources"]) == 20)
    for number in range(20):
        ben.cli("get", f"game-{number}", "--no-wait")
    ben.wait_event("download_progress", where=lambda event: event["done"] > 0)
    mark = ann.mark()
    ends_cleanly(ben, "20 downloads")
    assert ann.wait_event("peer_disconnected", since=mark)["reason"] == "goodbye"


def test_it_ends_amid_an_install(lab, tmp_path):
    ann = lab.host("ann").daemon(start=False)
    game = ann.games / "quake"
    make_file(tmp_path / "plain/data", 96 << 20, 5)
    game.mkdir()
    lanlab.run("tar", "-C", tmp_path / "plain", "-cf", game / "quake.tar", "data")
    (game / "version.ini").write_text("1.0\n")
    ann.start()
    ann.wait_games(lambda games: games["quake"]["availability"] == "downloaded")
    ann.cli("install", "quake", "--no-wait")
    ann.wait_event("install_begin")
    ends_cleanly(ann, "install")
    ann.start()
    state = ann.list_games()["quake"]
    assert state["operation"] in ("none", "hashing") and state["availability"] in ("downloaded", "installed")
    assert (game / "local").exists() == (state["availability"] == "installed")
    ann.cli("install", "quake")
    assert tree(game / "local", without=()) == tree(tmp_path / "plain", without=())


def test_it_ends_on_a_dead_network(lab, tmp_path):
    ann, ben = lab.host("ann", rate=40_000_000), lab.host("ben")
    a, b = ann.daemon(), ben.daemon()
    make_tree(tmp_path / "quake", large=24 << 20).rename(a.games / "quake")
    (a.games / "quake/version.ini").write_text("1.0\n")
    b.wait_games(lambda games: games["quake"]["sources"] == 1 and games["quake"]["content"])
    b.cli("get", "quake", "--no-wait")
    b.wait_event("download_progress", where=lambda event: event["done"] > 0)
    ben.lose(100)
    ends_cleanly(b, "dead network")
    b.start()
    b.host.unplug()
    ends_cleanly(b, "no carrier")


def test_it_ends_while_a_name_is_being_resolved(lab):
    """The resolver does not answer; the discovery child waits for it, nobody else does."""
    ann = lab.host("ann").daemon(arguments=["--peer", "nobody.invalid:4000"])
    assert ann.cli("games")["games"] is not None
    ends_cleanly(ann, "resolving")
