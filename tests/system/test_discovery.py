"""Finding each other: beside the machine's own avahi, and among those who lie."""

import os
import pathlib
import shutil
import signal
import subprocess
import sys

import pytest

import lanlab
from lanlab import LabError, make_tree

MDNS = lanlab.ROOT / "tests/system/mdns.py"
FAKE = "fa" * 32


def mdns(host, *arguments, **options):
    """mdns.py on a host; returns once its first packets are out."""
    process = host.lab.start([sys.executable, MDNS, host.address, *arguments], host.namespace,
                             stdout=subprocess.PIPE, text=True, **options)
    assert process.stdout.readline(), "it sent nothing"
    return process


def child_of(daemon):
    """The process id of its lanspread-discover; None: it has none just now."""
    return next((pid for pid, name in daemon.children().items() if name.startswith("lanspread-disco")), None)


# ---- Beside avahi-daemon ------------------------------------------------------------------------------

AVAHI = """[server]
use-ipv4=yes
use-ipv6=yes
enable-dbus=yes
ratelimit-interval-usec=1000000
ratelimit-burst=1000
[publish]
publish-workstation=yes
publish-hinfo=yes
[wide-area]
enable-wide-area=no
"""

# A system bus and an avahi-daemon in a mount namespace of their own, so that the machine's are not met.
BESIDE = """set -e
mount --make-rprivate /
mount -t tmpfs tmpfs /run
mkdir -p /run/dbus /run/avahi-daemon
dbus-daemon --system --nofork --nopidfile --address=unix:path=/run/dbus/system_bus_socket &
exec 3>&1
until [ -S /run/dbus/system_bus_socket ]; do read -r -t 0.05 <> <(:) || true; done
exec avahi-daemon --no-chroot --no-drop-root --no-rlimits -f "$1"
"""


@pytest.fixture
def avahi(lab, tmp_path):
    """start(host): an avahi-daemon there; the value is a function that runs a command beside it."""
    if not shutil.which("avahi-daemon") or not shutil.which("dbus-daemon"):
        pytest.skip("avahi-daemon or dbus-daemon is not installed")
    (tmp_path / "avahi.conf").write_text(AVAHI)

    def start(host):
        process = lab.start(["unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc", "bash", "-c", BESIDE,
                             "avahi", tmp_path / "avahi.conf"],
                            host.namespace, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        said = []
        for line in process.stderr:
            said.append(line)
            if "startup complete" in line:
                break
        else:
            pytest.fail("avahi-daemon did not start: " + "".join(said)[-1000:])
        # The first child of unshare is bash, which has become avahi-daemon.
        inner = int(pathlib.Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()[0])

        def beside(*command, timeout=60):
            return subprocess.run(["nsenter", "-t", str(inner), "-m", "-n", "-p", *command], stdout=subprocess.PIPE,
                                  stderr=subprocess.STDOUT, text=True, timeout=timeout, check=False).stdout

        return process, beside

    return start


def test_it_works_beside_a_running_avahi_daemon_and_is_seen_by_avahi_browse(lab, avahi):
    here, there = lab.host("ann"), lab.host("ben")
    _, beside = avahi(here)
    _, beside_ben = avahi(there)
    ann, ben = here.daemon(), there.daemon()
    ann.wait_peers(1)
    ben.wait_peers(1)
    for look in (beside, beside_ben):
        seen = look("avahi-browse", "-r", "-t", "-p", "_lanspread._udp")
        for daemon in (ann, ben):
            port = daemon.address.rsplit(":", 1)[1]
            lines = [line for line in seen.splitlines() if line.startswith("=") and f'"id={daemon.peer_id}"' in line]
            assert lines, seen
            assert all(f";{port};" in line and '"v=1"' in line and f'"name={daemon.name}"' in line for line in lines)
            assert any(f";{daemon.host.address};" in line for line in lines), seen
    # avahi-daemon has not been made to take another name for itself.
    name = beside("avahi-resolve", "-n", "-4", os.uname().nodename.split(".")[0] + ".local")
    assert here.address in name, name
    assert ann.service("discovery")["restarts"] == 0 and ben.service("discovery")["restarts"] == 0


def test_a_peer_that_ends_is_gone_from_avahi_browse(lab, avahi):
    here, there = lab.host("ann"), lab.host("ben")
    _, beside = avahi(here)
    ann, ben = here.daemon(), there.daemon()
    ann.wait_peers(1)
    assert ben.peer_id in beside("avahi-browse", "-r", "-t", "-p", "_lanspread._udp")
    ben.stop()
    ann.wait_peers(0)
    watcher = beside("timeout", "5", "sh", "-c", "until ! avahi-browse -t -p _lanspread._udp | grep -q '" + ben.peer_id[:12] +
                     "'; do :; done; echo gone")
    assert "gone" in watcher


# ---- Those who lie ------------------------------------------------------------------------------------

def test_an_aborted_discovery_child_is_started_again_and_connected_peers_stay(lab):
    ann, ben = lab.host("ann").daemon(), lab.host("ben").daemon()
    ben.wait_peers(1)
    mark, child = ben.mark(), child_of(ben)
    os.kill(child, signal.SIGABRT)
    ben.wait_event("health_changed", since=mark, where=lambda event: "discovery" in event["degraded"])
    assert ben.service("discovery")["state"] != "running"
    ben.wait_event("health_changed", since=mark, state="ok")
    again = ben.service("discovery")
    assert again["state"] == "running" and again["restarts"] == 1 and "signal" in again["error"]
    assert child_of(ben) not in (None, child)
    assert ben.count_events("peer_disconnected", since=mark) == 0
    cem = lab.host("cem").daemon()
    assert cem.peer_id in ben.wait_peers(2) and ann.peer_id in ben.list_peers()


def test_a_forged_service_whose_aliases_expire_cannot_hurt_a_party(lab):
    """Such a one aborts libavahi-core 0.8; where it does not any more, nothing may happen at all."""
    ann, ben, eve = lab.host("ann").daemon(), lab.host("ben").daemon(), lab.host("eve")
    ben.wait_peers(1)
    mark, child = ben.mark(), child_of(ben)
    assert mdns(eve, "aliases").wait(lanlab.PATIENCE) == 0
    try:
        lanlab.wait_for(lambda: child_of(ben) != child, timeout=8)
    except LabError:
        assert ben.service("discovery")["state"] == "running"
    cem = lab.host("cem").daemon()
    assert cem.peer_id in ben.wait_peers(2, timeout=60)
    assert ben.count_events("peer_disconnected", since=mark) == 0 and ann.process.poll() is None
    if child_of(ben) != child:
        assert "Assertion" in ben.service("discovery")["error"] or "signal" in ben.service("discovery")["error"]
        assert ben.service("discovery")["restarts"] == 1


def test_malformed_packets_are_ignored(lab):
    ann, ben, eve = lab.host("ann").daemon(), lab.host("ben").daemon(), lab.host("eve")
    ben.wait_peers(1)
    mark = ben.mark()
    assert mdns(eve, "malformed", "3000").wait(30) == 0
    cem = lab.host("cem").daemon()
    assert cem.peer_id in ben.wait_peers(2, timeout=60)
    assert ben.count_events("peer_disconnected", since=mark) == 0
    assert ann.status()["health"]["state"] in ("ok", "degraded")


def test_a_forged_goodbye_leaves_the_connection(lab, tmp_path):
    ann, ben, eve = lab.host("ann").daemon(), lab.host("ben").daemon(), lab.host("eve")
    make_tree(tmp_path / "quake", large=2 << 20).rename(ann.games / "quake")
    (ann.games / "quake/version.ini").write_text("1.0\n")
    ben.wait_games(lambda games: games["quake"]["sources"] == 1 and games["quake"]["content"])
    mark = ben.mark()
    assert mdns(eve, "goodbye", f"ann {ann.peer_id[:12]}").wait(lanlab.PATIENCE) == 0
    ben.cli("get", "quake")
    assert ben.count_events("peer_disconnected", since=mark) == 0
    assert ben.list_peers()[ann.peer_id]["connected"]


@pytest.mark.parametrize("address", ["127.0.0.1", "8.8.4.4", "10.99.0.1"])
def test_an_address_that_is_not_of_the_link_is_not_dialled(lab, address):
    """The bait is a socket (or the default route to one) on that very address: nothing may come."""
    ben, eve = lab.host("ben"), lab.host("eve")
    run_ip = ("ip", "-n", ben.namespace)
    if address != "127.0.0.1":
        # Routed over eth0 to Eve, who listens there: who dialled would be heard.
        lanlab.run(*run_ip, "route", "add", f"{address}/32", "via", eve.address)
        lanlab.run("ip", "-n", eve.namespace, "addr", "add", f"{address}/32", "dev", "lo")
    bait = lab.start([sys.executable, "-c", "import socket; s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); "
                      f"s.bind(('{address}', 41234)); print('bound', flush=True); print(len(s.recv(2000)), flush=True)"],
                     (ben if address == "127.0.0.1" else eve).namespace, stdout=subprocess.PIPE, text=True)
    assert bait.stdout.readline() == "bound\n"
    daemon = ben.daemon(arguments=["--log-level", "debug"])
    mdns(eve, "announce", "Fake 000000000000", FAKE, address, "41234", "bait.local")
    daemon.wait_log("which is on no link of ours")
    # And a true one is dialled after it: what was to be dialled has been by then.
    cem = lab.host("cem").daemon()
    assert cem.peer_id in daemon.wait_peers(1)
    assert bait.poll() is None, "it was dialled"


def test_a_flood_of_fake_services_keeps_live_peers_and_costs_bounded_memory(lab):
    ann, ben, eve = lab.host("ann").daemon(), lab.host("ben").daemon(), lab.host("eve")
    ben.wait_peers(1)
    mark, before = ben.mark(), ben.memory()
    flood = mdns(eve, "flood", "10000")
    ben.wait_log("flooded with announcements", timeout=60)
    assert ben.cli("games") is not None
    child = child_of(ben)
    flood.kill()
    assert ben.count_events("peer_disconnected", since=mark) == 0
    assert ben.list_peers()[ann.peer_id]["connected"]
    assert ben.memory() - before < 32 << 20
    if child:
        assert lanlab.memory_of(child) < 64 << 20
    assert ben.stop()[0] == 0


def test_only_the_interface_that_was_asked_for_is_used(lab):
    ann, ben = lab.host("ann"), lab.host("ben")
    for number, host in enumerate((ann, ben), 1):
        host.add_interface("eth1", "second", [f"10.78.0.{number}/24"])
    a = ann.daemon(arguments=["--interface", "eth1"])
    b = ben.daemon(arguments=["--interface", "eth1"])
    for daemon in (a, b):
        peer = next(iter(daemon.wait_peers(1).values()))
        assert peer["address"].startswith("10.78.0.") or peer["address"].startswith("[fe80:")
    assert all(address.startswith(("10.78.0.", "[fe80:")) for address in a.status()["listen"]), a.status()["listen"]


def test_a_wire_comes_before_a_tunnel_whichever_was_there_first(lab):
    ann = lab.host("ann", switch=None)
    # The tunnel has the lower number, and would be first by that.
    ann.add_interface("lan0", "switch", ["10.78.0.1/24"])
    lanlab.run("ip", "-n", ann.namespace, "link", "set", "eth0", "down")
    lanlab.run("ip", "-n", ann.namespace, "link", "set", "eth0", "name", "wg0")
    lanlab.run("ip", "-n", ann.namespace, "link", "set", "wg0", "up")
    listen = [address for address in ann.daemon().status()["listen"] if address[0] != "["]
    assert len(listen) == 2 and listen[0].startswith("10.78.0.1:"), listen
