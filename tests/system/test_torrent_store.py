"""The torrent engine's store and its limits, with real daemons: kills, damage, a full disk, what is on the wire."""

import json
import random
import subprocess
import time

import pytest

from lanlab import PATIENCE, make_file
from test_torrent import (dial_until, make_game, make_torrent, needs_stranger, pytestmark,  # noqa: F401
                          share_game, start_stranger, tell, torrent_address, torrent_peer, torrents_of, wait_listening,
                          wait_torrent)

TORRENTS = 20


def seed_many(host, folder, count=TORRENTS, size=1 << 19):
    """A stranger that seeds so many torrents; ({id: name}, its address)."""
    process, port = start_stranger(host)
    found = {}
    for number in range(count):
        name = f"thing{number:02}"
        make_file(folder / name / "data", size, number)
        (folder / name / "name").write_text(name)  # a folder of one file would be a torrent of that file
        made = make_torrent(folder / name, folder / f"{name}.torrent", "v2" if number % 2 else "v1")
        tell(process, add=str(folder / f"{name}.torrent"), into=str(folder), seed=True)
        found[made["v2"] or made["v1"]] = name
    return found, f"{host.address}:{port}"


def add_many(daemon, folder, names, peer, **options):
    for name in names:
        sets = [f"save_path={daemon.folder / 'downloads'}", f'peers=["{peer}"]',
                *(f"{key}={value}" for key, value in options.items())]
        daemon.cli("torrent", "add", folder / f"{name}.torrent", *(word for one in sets for word in ("--set", one)))


def check_store(daemon):
    """Every file of the store is whole, whatever happened."""
    store = daemon.state / "torrent"
    assert not list(store.glob("*.damaged"))
    for path in store.glob("*.meta.json"):
        json.loads(path.read_text())
    for path in store.glob("*.fastresume"):
        data = path.read_bytes()
        assert data[:1] == b"d" and data[-1:] == b"e"


def kill_again_and_again(lab, folder, kills):
    ann, host = torrent_peer(lab.host("ann")), lab.host("eve")
    torrents, peer = seed_many(host, folder)
    names = list(torrents.values())
    done = {identity for identity, name in torrents.items() if name in names[:TORRENTS // 2]}
    add_many(ann, folder, names[:TORRENTS // 2], peer)
    for identity in done:
        ann.wait_event("torrent_completed", torrent=identity)
    # The other half is always on its way: slow, and dialled anew after each kill.
    add_many(ann, folder, names[TORRENTS // 2:], peer, max_download=20000)
    chance = random.Random(7)
    for _ in range(kills):
        events = chance.randrange(1, 30)
        mark = ann.mark()
        ann.wait_until(lambda: ann.mark() >= mark + events, what="something to be going on")
        ann.kill()
        check_store(ann)
        mark = ann.mark()
        ann.start()
        wait_listening(ann)
        ann.wait_until(lambda: len(torrents_of(ann)) == TORRENTS, what="all torrents to be back")
        status = ann.status()
        assert status["torrent"]["restored"] == TORRENTS and status["torrent"]["quarantined"] == 0
        for identity in done:
            torrent = wait_torrent(ann, identity, lambda torrent: torrent["state"] == "seeding")
            assert torrent["done"] == torrent["total"]
            # What was whole is neither fetched nor looked for again.
            assert not ann.count_events("torrent_state", since=mark, torrent=identity, state="downloading")
        for identity in set(torrents) - done:
            ann.run_cli("torrent", "add_peers", identity, "--set", f'peers=["{peer}"]')
    ann.cli("torrent", "limits", "--set", "max_download=0")
    for identity in set(torrents) - done:
        ann.cli("torrent", "limits", identity, "--set", "max_download=0")
    for identity, name in torrents.items():
        dial_until(ann, identity, peer,
                   lambda identity=identity: torrents_of(ann)[identity]["state"] == "seeding", "a torrent to be whole")
        assert (ann.folder / "downloads" / name / "data").read_bytes() == (folder / name / "data").read_bytes()
    check_store(ann)


@needs_stranger
def test_ten_kills_with_twenty_torrents_lose_none(lab, tmp_path):
    kill_again_and_again(lab, tmp_path, 10)


@pytest.mark.soak
@needs_stranger
def test_a_hundred_kills_with_twenty_torrents_lose_none(lab, tmp_path):
    kill_again_and_again(lab, tmp_path, 100)


@needs_stranger
def test_damage_is_set_aside_alone_and_the_others_load(lab, tmp_path):
    ann, host = torrent_peer(lab.host("ann")), lab.host("eve")
    torrents, peer = seed_many(host, tmp_path, 5)
    add_many(ann, tmp_path, torrents.values(), peer)
    for identity in torrents:
        ann.wait_event("torrent_completed", torrent=identity)
    code, seconds = ann.stop()
    assert code == 0 and seconds < 2
    store = ann.state / "torrent"
    blob, record, no_blob, no_record, whole = list(torrents)
    (store / f"{blob}.fastresume").write_bytes(b"d4:oops")
    (store / f"{record}.meta.json").write_text('{"version": 1, "na')
    (store / f"{no_blob}.fastresume").unlink()
    (store / f"{no_record}.meta.json").unlink()
    mark = ann.mark()
    ann.start()
    wait_listening(ann)
    for identity in torrents:
        torrent = wait_torrent(ann, identity, lambda torrent: torrent["state"] in ("seeding", "completed"))
        assert torrent["name"] == torrents[identity]
    assert {path.name for path in store.glob("*.damaged")} == {f"{blob}.fastresume.damaged", f"{record}.meta.json.damaged"}
    assert ann.status()["torrent"]["quarantined"] == 2
    for identity in (record, no_record):
        ann.wait_event("torrent_selection", since=mark, torrent=identity)
    assert not ann.count_events("torrent_selection", since=mark, torrent=whole)


@needs_stranger
def test_a_full_disk_stops_one_torrent_and_says_so(lab, tmp_path):
    ann, host = torrent_peer(lab.host("ann")), lab.host("eve")
    torrents, peer = seed_many(host, tmp_path, 2, 4 << 20)
    (full, name), (other, fine) = torrents.items()
    small = ann.folder / "small"
    small.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", small], check=True)
    try:
        ann.cli("torrent", "add", tmp_path / f"{name}.torrent", "--set", f"save_path={small}", "--set",
                f'peers=["{peer}"]')
        error = ann.wait_event("torrent_error", torrent=full)
        assert error["code"] == "no_space" and error["message"]
        ann.wait_event("torrent_health", where=lambda event: "storage" in event["degraded"])
        add_many(ann, tmp_path, [fine], peer)
        ann.wait_event("torrent_completed", torrent=other)
        ann.cli("torrent", "remove", full, "--data")
    finally:
        subprocess.run(["umount", "-l", small], check=True)


@needs_stranger
def test_progress_is_told_ten_times_a_second_and_the_last_sample_always(lab, tmp_path):
    ann, host = torrent_peer(lab.host("ann", rate=40_000_000)), lab.host("eve")
    torrents, peer = seed_many(host, tmp_path, 1, 12 << 20)
    (identity, name), = torrents.items()
    begun, mark = time.monotonic(), ann.mark()
    add_many(ann, tmp_path, [name], peer)
    ann.wait_event("torrent_completed", torrent=identity)
    seconds = time.monotonic() - begun
    samples = ann.count_events("torrent_progress", since=mark, torrent=identity)
    assert 3 <= samples <= 10 * seconds + 3
    last = ann.wait_event("torrent_progress", since=mark, torrent=identity,
                          where=lambda event: event["done"] == event["total"])
    assert last["total"] == (12 << 20) + len(name)


def rate_on_the_wire(daemon, host, seconds, way):
    """Bytes a second over so long, by the clock of the wait for events."""
    begun, before = time.monotonic(), host.sent_and_received()[way]
    daemon.wait_until(lambda: time.monotonic() - begun >= seconds, seconds + PATIENCE, "some seconds to pass")
    return (host.sent_and_received()[way] - before) / (time.monotonic() - begun)


@needs_stranger
def test_a_limit_is_in_effect_on_the_wire_within_two_seconds(lab, tmp_path):
    ann, host = torrent_peer(lab.host("ann", rate=200_000_000)), lab.host("eve")
    make_file(tmp_path / "big/data", 160 << 20, 1)
    (tmp_path / "big/name").write_text("big")
    make_torrent(tmp_path / "big", tmp_path / "big.torrent", "v2")
    identity = ann.cli("torrent", "add", tmp_path / "big.torrent", "--set", f"save_path={tmp_path}", "--set",
                       "have=check")["id"]
    wait_torrent(ann, identity, lambda torrent: torrent["state"] == "seeding")
    process, _ = start_stranger(host)
    (host.folder / "into").mkdir()
    tell(process, add=str(tmp_path / "big.torrent"), into=str(host.folder / "into"), peers=[torrent_address(ann)])
    ann.wait_event("torrent_progress", torrent=identity, where=lambda event: event["uploaded"] > 4 << 20)
    assert rate_on_the_wire(ann, ann.host, 1, 0) > 3_000_000
    ann.cli("torrent", "limits", "--set", "max_upload=1000000")
    begun = time.monotonic()
    ann.wait_until(lambda: time.monotonic() - begun >= 2, what="two seconds to pass")
    # Long enough that the two seconds' worth which libtorrent may hand out at once do not count for much.
    assert rate_on_the_wire(ann, ann.host, 10, 0) < 1_300_000
    # The limits of the peer hold for this engine too.
    ann.cli("limits", "--up", "2M")
    ann.wait_until(lambda: ann.cli("torrent", "inspect")["settings"]["upload_rate_limit"] == 2_000_000,
                   what="the session to have the limit")


@needs_stranger
def test_every_command_answers_with_one_document(lab, tmp_path):
    ann = torrent_peer(lab.host("ann"))
    make_game(tmp_path / "doom", large=1 << 18)
    made = ann.cli("torrent", "create", tmp_path / "doom", "--output", tmp_path / "doom.torrent", "--set",
                   'trackers=["http://tracker.invalid/announce"]')
    assert made["file"] == str(tmp_path / "doom.torrent") and (tmp_path / "doom.torrent").read_bytes()[:1] == b"d"
    added = ann.cli("torrent", "add", tmp_path / "doom.torrent", "--set", "have=check", "--set",
                    f"save_path={tmp_path}")
    identity = added["id"]
    wait_torrent(ann, identity, lambda torrent: torrent["state"] == "seeding")
    short = identity[:8]
    assert ann.cli("torrent", "list", short)["torrents"][0]["id"] == identity
    assert "version.ini" in [file["path"] for file in ann.cli("torrent", "files", short)["files"]]
    assert ann.cli("torrent", "peers", short)["peers"] == []
    assert ann.cli("torrent", "have", short)["have"] == ann.cli("torrent", "have", short)["pieces"]
    ann.cli("torrent", "limits", short, "--set", "max_upload=1000000")
    assert torrents_of(ann)[identity]["max_upload"] == 1_000_000
    assert ann.cli("torrent", "select", short, "--set", 'priorities={"data/large.bin": "high"}')["files"]
    ann.wait_until(lambda: {"data/large.bin": "high"}.items() <= {
        file["path"]: file["priority"] for file in ann.cli("torrent", "files", short)["files"]}.items(),
        what="the priority to be high")
    ann.cli("torrent", "options", short, "--set", 'tags=["lan"]')
    assert torrents_of(ann)[identity]["tags"] == ["lan"]
    assert ann.cli("torrent", "trackers", short)["trackers"][0]["url"] == "http://tracker.invalid/announce"
    ann.cli("torrent", "sequential", short, "true")
    ann.cli("torrent", "pause", short)
    assert torrents_of(ann)[identity]["state"] == "paused"
    ann.cli("torrent", "resume", short)
    ann.cli("torrent", "reannounce", short)
    ann.cli("torrent", "recheck", short)
    wait_torrent(ann, identity, lambda torrent: torrent["state"] == "seeding")
    ann.cli("torrent", "move", short, tmp_path / "elsewhere")
    assert (tmp_path / "elsewhere/doom/version.ini").exists()
    assert ann.cli("torrent", "export", short, "--output", tmp_path / "again.torrent")["magnet"].startswith("magnet:")
    assert ann.cli("torrent", "configure", "--set", "max_connections=77")["configuration"]["max_connections"] == 77
    assert ann.cli("torrent", "inspect")["settings"]["connections_limit"] == 77
    ann.restart()
    wait_listening(ann)
    assert ann.cli("torrent", "inspect")["settings"]["connections_limit"] == 77
    ann.cli("torrent", "restart")
    ann.cli("torrent", "remove", short, "--data")
    assert torrents_of(ann) == {} and not (tmp_path / "elsewhere/doom/version.ini").exists()
    for wrong in (["pause"], ["pause", "ffffffff"], ["add", "nonsense"], ["configure", "--set", "dht=7"],
                  ["limits", "--set", "max_download=99999999999"]):
        refused = ann.run_cli("torrent", *wrong, "--json")
        assert refused.returncode == 1 and json.loads(refused.stdout)["ok"] is False
        assert refused.stderr.count("\n") == 1


def test_the_setting_is_in_effect_within_two_seconds(lab):
    ann = lab.host("ann").daemon()
    content = share_game(ann)
    assert ann.status()["torrent"] is None
    begun = time.monotonic()
    ann.cli("config", "swarm", "lan")
    wait_torrent(ann, content, lambda torrent: torrent["state"] == "seeding")
    settings = ann.cli("torrent", "inspect")["settings"]
    assert time.monotonic() - begun < 2 + 1  # and the time of the commands that look
    assert (settings["enable_lsd"], settings["enable_dht"], settings["enable_upnp"]) == (True, False, False)
    ann.cli("config", "swarm", "internet")
    settings = ann.cli("torrent", "inspect")["settings"]
    assert (settings["enable_lsd"], settings["enable_dht"], settings["enable_upnp"]) == (True, True, True)
    assert content not in torrents_of(ann)  # over the internet only what the user shares
    ann.cli("share", "quake")
    wait_torrent(ann, content, lambda torrent: torrent["state"] == "seeding")
    ann.cli("config", "swarm", "off")
    settings = ann.cli("torrent", "inspect")["settings"]
    assert (settings["enable_lsd"], settings["enable_dht"], settings["enable_upnp"]) == (False, False, False)
