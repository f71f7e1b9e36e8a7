"""Settings of the torrent engine that need an outside: trackers, web seeds, proxies, what goes out when nobody asked."""

import json
import subprocess
import sys

import pytest

from lanlab import make_tree, tree, wait_for
from outside import Outside
from test_torrent import (make_game, pytestmark, torrent_address, torrent_peer, wait_listening,  # noqa: F401
                          wait_torrent)

TRACKER, WEB, PROXY = 6969, 8080, 1080
ALONE = "--no-discovery"  # nothing of this party tells the two of each other
MDNS, LSD, SSDP, NATPMP = 5353, 6771, 1900, 5351


def make_things(folder, large=1 << 20):
    """Files that are no game, next to the folder's other ones."""
    return make_tree(folder / "things", large=large, small=5)


def create(daemon, source, *settings):
    """Its torrent file, and what is known of it."""
    output = source.parent / f"{source.name}.torrent"
    words = [word for setting in settings for word in ("--set", setting)]
    return output, daemon.cli("torrent", "create", source, "--output", output, *words)


def add(daemon, torrent, *settings):
    """Adds it where this daemon downloads to; its id."""
    words = [word for setting in (f"save_path={daemon.folder / 'into'}", *settings) for word in ("--set", setting)]
    return daemon.cli("torrent", "add", torrent, *words)["id"]


def seed(daemon, torrent, folder, *settings):
    words = [word for setting in (f"save_path={folder}", "have=sample", *settings) for word in ("--set", setting)]
    identity = daemon.cli("torrent", "add", torrent, *words)["id"]
    wait_torrent(daemon, identity, lambda one: one["state"] == "seeding")
    return identity


def configure(daemon, **settings):
    words = [word for key, value in settings.items() for word in ("--set", f"{key}={json.dumps(value)}")]
    return daemon.cli("torrent", "configure", *words)


# ---- Trackers ---------------------------------------------------------------------------------------------

def test_a_tracker_introduces_two_who_know_nothing_of_each_other(lab, tmp_path):
    tracker_host = lab.host("tracker")
    tracker = Outside(tracker_host, "tracker", TRACKER)
    ann, ben = (torrent_peer(lab.host(name), ALONE) for name in ("ann", "ben"))
    for daemon in (ann, ben):
        configure(daemon, lsd=False)
    url = f"http://{tracker_host.address}:{TRACKER}/announce"
    torrent, made = create(ann, make_things(tmp_path), f'trackers=["{url}"]')
    assert f"tr=http%3a%2f%2f{tracker_host.address}" in made["magnet"].lower()
    tracker.tell("fail")
    identity = seed(ann, torrent, tmp_path)
    # An error is told with the tracker's own words, and the health has it until the same tracker answers.
    error = ann.wait_event("torrent_tracker", status="error")
    assert error["url"] == url and "closed today" in error["message"]
    ann.wait_until(lambda: "tracker" in ann.status()["torrent"]["health"]["degraded"], what="the health to have it")
    assert "torrent_tracker" in ann.status()["health"]["degraded"]
    (row,) = ann.cli("torrent", "trackers", identity)["trackers"]
    assert row["status"] == "error" and "closed today" in row["message"]
    tracker.tell("serve")
    ann.cli("torrent", "reannounce", identity)
    ann.wait_event("torrent_tracker", status="working")
    ann.wait_until(lambda: "tracker" not in ann.status()["torrent"]["health"]["degraded"], what="the health to clear")
    seen = tracker.wait(lambda one: one.get("refused") is False)
    assert seen["left"] == 0 and seen["info_hash"] == identity[:40] and seen["agent"].startswith("lanspread/")
    assert seen["port"] == ann.status()["torrent"]["port"]
    # The other one has a link, and nothing but it.
    added = ben.cli("torrent", "add", made["magnet"], "--set", f"save_path={ben.folder / 'downloads'}")
    ben.wait_event("torrent_completed", torrent=added["id"])
    assert tree(ben.folder / "downloads/things") == tree(tmp_path / "things")
    tracker.wait(lambda one: one.get("event") == "completed" and one["address"] == ben.host.address)
    (row,) = ben.cli("torrent", "trackers", identity)["trackers"]
    assert (row["status"], row["message"]) == ("working", None)
    # Without a name of its own, once that is asked for.
    configure(ben, lsd=False, anonymous=True)
    mark = tracker.mark()
    ben.cli("torrent", "reannounce", identity)
    assert "lanspread" not in tracker.wait(lambda one: one.get("address") == ben.host.address, since=mark)["agent"]
    ben.cli("torrent", "remove", identity)
    tracker.wait(lambda one: one.get("event") == "stopped" and one["address"] == ben.host.address)


# ---- Web seeds --------------------------------------------------------------------------------------------

def test_a_web_server_is_a_seed(lab, tmp_path):
    host = lab.host("server")
    web = Outside(host, "web", WEB, tmp_path)
    ben = torrent_peer(lab.host("ben"), ALONE)
    url = f"http://{host.address}:{WEB}/"
    torrent, _ = create(ben, make_things(tmp_path), f'web_seeds=["{url}"]')
    identity = add(ben, torrent)
    ben.wait_event("torrent_completed", torrent=identity)
    assert tree(ben.folder / "into/things") == tree(tmp_path / "things")
    assert web.wait(lambda one: one["path"] == "things/data/large.bin")["range"].startswith("bytes=")
    assert ben.cli("torrent", "web_seeds", identity)["web_seeds"] == [url]
    ben.cli("torrent", "remove", identity, "--data")
    # The same for one that was made without, and gets it later.
    torrent, _ = create(ben, make_things(tmp_path))
    identity, mark = add(ben, torrent), ben.mark()
    assert ben.cli("torrent", "web_seeds", identity, "--set", f'add=["{url}"]')["web_seeds"] == [url]
    ben.wait_event("torrent_completed", since=mark, torrent=identity)
    assert ben.cli("torrent", "web_seeds", identity, "--set", f'remove=["{url}"]')["web_seeds"] == []


# ---- A proxy ----------------------------------------------------------------------------------------------

@pytest.mark.parametrize("kind, name", [("socks", "socks5"), ("http", "http")])
@pytest.mark.parametrize("secret", [(), ("ben", "s3cret")], ids=["open", "password"])
def test_with_a_proxy_nothing_is_connected_but_the_proxy(lab, tmp_path, kind, name, secret):
    between, tracker_host = lab.host("between"), lab.host("tracker")
    proxy, tracker = Outside(between, kind, PROXY, *secret), Outside(tracker_host, "tracker", TRACKER)
    ann, ben = (torrent_peer(lab.host(name), ALONE) for name in ("ann", "ben"))
    settings = {"type": f"{name}_password", "user": secret[0], "password": secret[1]} if secret else {"type": name}
    for daemon in (ann, ben):
        configure(daemon, lsd=False)
    configure(ben, proxy={**settings, "host": between.address, "port": PROXY})
    if secret:  # it is kept, and other settings may change beside it
        configure(ben, max_connections=77)
        assert ben.cli("torrent", "inspect")["configuration"]["proxy"]["password"] == "(set)"
    url = f"http://{tracker_host.address}:{TRACKER}/announce"
    torrent, _ = create(ann, make_things(tmp_path), f'trackers=["{url}"]')
    identity = seed(ann, torrent, tmp_path)
    tracker.wait(lambda one: one.get("address") == ann.host.address)
    add(ben, torrent)
    ben.wait_event("torrent_completed", torrent=identity)
    assert tree(ben.folder / "into/things") == tree(tmp_path / "things")
    assert {one["connect"] for one in proxy.all(lambda one: "connect" in one)} >= {
        torrent_address(ann), f"{tracker_host.address}:{TRACKER}"}
    assert not proxy.all(lambda one: "refused" in one)
    # Neither the tracker nor the other one ever saw who it really is.
    assert {one["address"] for one in tracker.all()} == {ann.host.address, between.address}
    seen = {peer["address"].split(":")[0] for peer in ann.cli("torrent", "peers", identity)["peers"]}
    assert seen <= {between.address}


# ---- What goes out ----------------------------------------------------------------------------------------

def test_nothing_of_lsd_dht_upnp_and_nat_pmp_goes_out_while_it_is_off_and_all_of_it_when_on(lab, tmp_path):
    ann, router = lab.host("ann"), lab.host("router")
    ann.run("ip", "route", "replace", "default", "via", router.address, "dev", "eth0")
    ear, daemon = Outside(ann, "ear"), ann.daemon()
    dht = 6881
    torrent, _ = create(daemon, make_things(tmp_path))
    configure(daemon, dht_nodes=[f"{router.address}:{dht}"])
    identity = seed(daemon, torrent, tmp_path)  # the engine listens, and has something to tell of
    wait_listening(daemon)
    daemon.cli("torrent", "reannounce", identity)
    swarm = {LSD, SSDP, NATPMP, dht}
    mark = ear.mark()
    daemon.cli("config", "swarm", "lan")
    told = ear.wait(lambda one: one["port"] == LSD, since=mark)
    assert not [one for one in ear.all()[:mark] if one["port"] in swarm]
    assert identity[:40].encode() in bytes.fromhex(told["data"]).lower()
    assert not ear.all(lambda one: one["port"] in swarm - {LSD})
    mark = ear.mark()
    daemon.cli("config", "swarm", "internet")
    for port in swarm - {LSD}:
        ear.wait(lambda one, port=port: one["port"] == port, since=mark)
    query = ear.wait(lambda one: one["port"] == dht, since=mark)
    assert bytes.fromhex(query["data"]).startswith(b"d1:ad2:") and b"1:y1:q" in bytes.fromhex(query["data"])
    # Whatever else went out was our own discovery.
    ours = {MDNS} | {int(address.rsplit(":", 1)[1]) for address in daemon.ready["listen"]}
    assert {one["port"] for one in ear.all()} - swarm <= ours
    daemon.cli("config", "swarm", "off")
    settings = daemon.cli("torrent", "inspect")["settings"]
    assert not any(settings[f"enable_{name}"] for name in ("lsd", "dht", "upnp", "natpmp"))
    # A private torrent is told of by none of them.
    private, made = create(daemon, make_game(tmp_path / "secret"), "private=true")
    daemon.cli("config", "swarm", "internet")
    hidden = seed(daemon, private, tmp_path)
    mark = ear.mark()
    daemon.cli("torrent", "reannounce", hidden)
    daemon.cli("torrent", "reannounce", identity)
    ear.wait(lambda one: one["port"] == LSD, since=mark)
    digits = made["info_hash_v2"][:40]
    assert hidden == made["info_hash_v2"]
    assert not ear.all(lambda one: digits.encode() in bytes.fromhex(one["data"]).lower() or digits in one["data"])


SILENT = """import socket, time
server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
server.bind(("0.0.0.0", 53))
print("it listens", flush=True)
while True:
    if b"silent-tracker" in server.recv(4096):
        print("asked", flush=True)
"""


def test_a_name_server_that_says_nothing_holds_up_neither_the_end_nor_a_restart(lab, tmp_path):
    """As in a hall without the internet: the library's own threads wait for the answer."""
    ann, router = lab.host("ann"), lab.host("router")
    server = lab.start([sys.executable, "-c", SILENT], router.namespace, stdout=subprocess.PIPE, text=True)
    server.stdout.readline()
    names = tmp_path / "resolv.conf"
    names.write_text(f"nameserver {router.address}\noptions timeout:30 attempts:1\n")
    daemon = ann.daemon(arguments=["--swarm", "lan"], wrapper=[
        "unshare", "-m", "sh", "-c", f'mount --bind {names} /etc/resolv.conf && exec "$@"', "sh"])
    torrent, _ = create(daemon, make_things(tmp_path), 'trackers=["http://silent-tracker.example/announce"]')
    seed(daemon, torrent, tmp_path)
    for end in (lambda: daemon.cli("torrent", "restart", timeout=20), lambda: daemon.stop(timeout=20)[0]):
        assert server.stdout.readline() == "asked\n"
        assert end() in ({}, 0)


@pytest.mark.parametrize("way", ["lsd", "dht"])
def test_two_find_each_other_by_nothing_but(lab, tmp_path, way):
    ann, ben = (torrent_peer(lab.host(name), ALONE) for name in ("ann", "ben"))
    for daemon, other in ((ann, ben), (ben, ann)):
        configure(daemon, lsd=way == "lsd", dht=way == "dht", dht_nodes=[torrent_address(other)])
    torrent, made = create(ann, make_things(tmp_path))
    identity = seed(ann, torrent, tmp_path)
    ben.cli("torrent", "add", made["magnet"], "--set", f"save_path={ben.folder / 'downloads'}")

    def completed():
        ann.run_cli("torrent", "reannounce", identity)
        ben.run_cli("torrent", "reannounce", identity)
        return ben.count_events("torrent_completed", torrent=identity)

    wait_for(completed, what="it to be here")
    assert tree(ben.folder / "downloads/things") == tree(tmp_path / "things")
