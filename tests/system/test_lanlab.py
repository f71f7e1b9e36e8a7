"""The lab itself: what the other tests stand on."""

import os
import subprocess

import pytest

from lanlab import Lab, make_tree, remove_leftovers, run, tree

pytestmark = pytest.mark.alone


def pings(host, other, count=1):
    result = subprocess.run(["ip", "netns", "exec", host.namespace, "ping", "-q", "-c", str(count), "-i", "0.01", "-W", "1",
                             other.address], stdout=subprocess.DEVNULL, check=False)
    return result.returncode == 0


def test_hosts_of_one_lab_reach_each_other_and_those_of_another_do_not(lab):
    ann, ben = lab.host("ann"), lab.host("ben")
    with Lab() as other:
        stranger = other.host("ann")
        assert pings(ann, ben)
        assert stranger.address == ann.address
        assert not pings(stranger, ben)


def test_a_pulled_cable_and_a_silent_wall_stop_packets(lab):
    ann, ben = lab.host("ann"), lab.host("ben")
    ben.unplug()
    assert not pings(ann, ben)
    ben.plug()
    assert pings(ann, ben, 3)
    ben.lose(100)
    assert not pings(ann, ben)
    ben.lose(0)
    assert pings(ann, ben)


def test_a_relay_delays_datagrams(lab):
    ann, ben = lab.host("ann"), lab.host("ben")
    echo = lab.start(["python3", "-c", "import socket; s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); "
                      "s.bind(('', 9)); print(flush=True)\nwhile True: s.sendto(*s.recvfrom(99))"], ben.namespace,
                     stdout=subprocess.PIPE)
    echo.stdout.readline()
    port = ann.relay((ben.address, 9), delay=0.05)
    took = float(ann.run("python3", "-c", "import socket, time; s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); "
                         f"s.settimeout(10); t = time.monotonic(); s.sendto(b'x', ('127.0.0.1', {port})); s.recv(9); "
                         "print(time.monotonic() - t)"))
    assert took >= 0.1


def test_what_a_crashed_run_left_is_removed():
    # A process id that is taken by nobody: one of a child that has ended.
    dead = subprocess.Popen(["true"])
    dead.wait()
    name = f"lanlab-{dead.pid}-abcd-left"
    run("ip", "netns", "add", name)
    mine = f"lanlab-{os.getpid()}-abcd-mine"
    run("ip", "netns", "add", mine)
    remove_leftovers()
    names = run("ip", "netns", "list")
    run("ip", "netns", "del", mine)
    assert name not in names and mine in names


def test_trees_are_the_same_for_the_same_seed(tmp_path):
    one, other = make_tree(tmp_path / "1", seed=5), make_tree(tmp_path / "2", seed=5)
    assert tree(one) == tree(other) and len(tree(one)) > 50
    assert tree(make_tree(tmp_path / "3", seed=6)) != tree(one)
