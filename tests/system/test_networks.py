"""What a network at a party is like: it comes late and changes, has no server, a router in the middle, a tunnel beside it."""

import lanlab
from lanlab import make_tree, share, tree


def offered(daemon, game="quake"):
    return daemon.wait_games(lambda games: games[game]["sources"] == 1 and games[game]["content"])


def readdress(host, *addresses):
    """Takes the interface's addresses and gives it others, as a lease that is over does."""
    lanlab.run("ip", "-n", host.namespace, "addr", "flush", "dev", "eth0", "scope", "global")
    for address in addresses:
        lanlab.run("ip", "-n", host.namespace, "addr", "add", address, "dev", "eth0")


def test_a_machine_whose_cable_comes_late_and_whose_address_changes_goes_on(lab, tmp_path):
    ann = lab.host("ann", rate=100_000_000).daemon()
    wanted = share(ann, "quake", make_tree(tmp_path / "quake", large=16 << 20))
    laptop = lab.host("ben")
    laptop.unplug()
    ben = laptop.daemon()
    assert not ben.list_peers()
    laptop.plug()
    offered(ben)
    ben.cli("get", "quake", "--no-wait")
    ben.wait_event("download_progress", where=lambda event: event["done"] > event["total"] / 4)
    assert laptop.address in ann.list_peers()[ben.peer_id]["address"]
    readdress(laptop, "10.77.0.99/24", "fd77::99/64")
    ben.wait_event("download_finished", timeout=60)
    assert laptop.address not in ann.list_peers()[ben.peer_id]["address"]
    assert tree(ben.games / "quake") == wanted
    assert ben.count_events("download_failed") == 0
    total = sum(path.stat().st_size for path in (ann.games / "quake").rglob("*") if path.is_file())
    assert ann.status()["sent"] <= total + (4 << 20)


def test_a_switch_alone_is_a_network(lab, tmp_path):
    """Nobody gives addresses: each machine has the one that IPv6 makes by itself."""
    ann, ben = lab.host("ann"), lab.host("ben")
    for host in (ann, ben):
        readdress(host)
    a, b = ann.daemon(), ben.daemon()
    wanted = share(a, "quake", make_tree(tmp_path / "quake"))
    offered(b)
    assert all(peer["address"].startswith("[fe80:") for peer in b.list_peers().values())
    b.cli("get", "quake")
    assert tree(b.games / "quake") == wanted


def tunnel_for_everything(host):
    """As a VPN has it that shall have all traffic: a device with more specific routes than the default one."""
    ip = ("ip", "-n", host.namespace)
    lanlab.run(*ip, "tuntap", "add", "tun0", "mode", "tun")
    lanlab.run(*ip, "addr", "add", f"10.8.0.{host.number}/24", "dev", "tun0")
    lanlab.run(*ip, "link", "set", "tun0", "up")
    for half in ("0.0.0.0/1", "128.0.0.0/1", "::/1", "8000::/1"):
        lanlab.run(*ip, "-6" if ":" in half else "-4", "route", "add", half, "dev", "tun0")


def test_who_is_on_two_networks_and_behind_a_tunnel_has_a_party_on_both(lab, tmp_path):
    ann, ben = lab.host("ann").daemon(), lab.host("ben", switch="second").daemon()
    middle = lab.host("cem")
    middle.add_interface("eth1", "second", ["10.78.0.3/24"])
    lanlab.run("ip", "-n", ben.host.namespace, "addr", "add", "10.78.0.2/24", "dev", "eth0")
    tunnel_for_everything(middle)
    cem = middle.daemon()
    wanted = share(ann, "quake", make_tree(tmp_path / "quake"))
    cem.wait_peers(2)
    offered(cem)
    cem.cli("get", "quake")
    offered(ben)
    ben.cli("get", "quake")
    assert tree(ben.games / "quake") == tree(cem.games / "quake") == wanted
    assert set(ben.list_peers()) == set(ann.list_peers()) == {cem.peer_id}


def test_a_peer_behind_a_router_is_reached_by_its_address(lab, tmp_path):
    """Two VLANs of a hall: multicast ends at the router, and both sides have each other's games by one --peer."""
    here, router, there = lab.host("ann"), lab.host("router"), lab.host("ben", switch="second")
    router.add_interface("eth1", "second", ["10.78.0.1/24"])
    router.run("sysctl", "-qw", "net.ipv4.ip_forward=1")
    readdress(there, "10.78.0.3/24")
    for host, gateway in ((here, router.address), (there, "10.78.0.1")):
        lanlab.run("ip", "-n", host.namespace, "route", "replace", "default", "via", gateway)
    ann = here.daemon()
    ben = there.daemon(arguments=["--peer", ann.address])
    wanted = share(ann, "quake", make_tree(tmp_path / "quake"))
    mine = share(ben, "doom", make_tree(tmp_path / "doom", seed=2))
    offered(ben)
    ben.cli("get", "quake")
    assert tree(ben.games / "quake") == wanted
    offered(ann, "doom")
    ann.cli("get", "doom")
    assert tree(ann.games / "doom") == mine
