"""The swarm beside what else a gamer's machine does: pings, limits, a pause. Figures are printed."""

import json
import time

import pytest

from gameflow import GameFlow, let_pass, percentile
from lanlab import Lab, make_file
from room import processor_times

pytestmark = pytest.mark.alone

MIB = 1 << 20
GAME = 64 * (100 + 42)  # bytes a second of the game's own packets on the wire


def lay(daemon, game, size, seed=1):
    make_file(daemon.games / game / "data.bin", size, seed)
    (daemon.games / game / "version.ini").write_text("1\n")


def moved(host, index):
    return host.sent_and_received()[index]


def measure(gamer, flow, index, rate, seconds):
    """Delays of the game's packets in the direction of `index` (0: out, 1: in), in milliseconds, and bulk's
    share of what the game leaves of the line."""
    before = moved(gamer, index)
    begun = time.monotonic()
    delays = flow.run(seconds)
    passed = time.monotonic() - begun
    return delays, ((moved(gamer, index) - before) / passed - GAME) / (rate / 8 - GAME)


PROMISED = 5  # ms at the 99th percentile: asserted in ./dev soak, where nothing else runs
SHARED = 12   # on processors that others use too; without the guard it is some 40
AT_ONCE = {PROMISED: 0.2, SHARED: 0.02}  # of a second's worth of the line, in bulk's first second


def added_delay(delays, idle, share):
    return percentile(sorted(delays), share) - percentile(idle, 0.5)


def begin_downloads(daemons):
    """Each has its folders ready and asks for chunks when it returns."""
    for daemon in daemons:
        daemon.cli("get", "quake", "--no-wait")
    for daemon in daemons:
        daemon.wait_event("download_begin")


def begin_and_measure(gamer, flow, index, rate, begin):
    """What begins bulk, beside a game that is there already: the game's delays in the first second from then on and
    in the first eight, bulk's share of what the game leaves of the line, and how many seconds' worth of the line had
    moved a second after bulk was begun."""
    packets = flow.start(1 + 8 + 1)
    let_pass(1)  # the game is there first
    before, at, begun = moved(gamer, index), time.time_ns(), time.monotonic()
    begin()
    let_pass(1)
    at_once = (moved(gamer, index) - before) / (rate / 8)
    let_pass(begun + 8 - time.monotonic())
    share = ((moved(gamer, index) - before) / (time.monotonic() - begun) - GAME) / (rate / 8 - GAME)
    came = [((sent - at) / 1e9, delay) for sent, delay in packets()]
    first, eight = ([delay for since, delay in came if 0 <= since < most] for most in (1, 8))
    return first, eight, share, at_once


def check_ping(gamer, flow, index, rate, begin, what, limit):
    """From the first moment on, and then in one of three times eight seconds. Where others held the processors in
    each of them, the delay was not the line's: that is skipped, not passed."""
    idle = flow.run(2)
    busy, total = processor_times()
    first, delays, share, at_once = begin_and_measure(gamer, flow, index, rate, begin)
    # Of 64 packets one is the 99th percentile; on shared processors one may be late.
    added = added_delay(first, idle, 0.99 if limit == PROMISED else 0.9)
    print(f"{what}, the first second: game packets delayed by {added:.2f} ms, at most {added_delay(first, idle, 1):.2f}; "
          f"bulk moved {at_once:.3f} of a second's worth of the line")
    late = [f"{added:.2f} ms in the first second"] if added > limit else []
    # Nothing held back by a guard that lets nothing pass: its least, on three paths, is 0.016.
    late += [f"bulk moved {at_once:.3f} of a second's worth at once"] if at_once < AT_ONCE[limit] else []
    starved = True
    for _ in range(3):
        now = processor_times()
        used = (now[0] - busy) / (now[1] - total)
        added = [added_delay(delays, idle, p) for p in (0.5, 0.9, 0.99)]
        print(f"{what}: game packets delayed by {added[0]:.2f} ms (p50), {added[1]:.2f} (p90), {added[2]:.2f} (p99); "
              f"bulk has {share:.3f} of what is left; processors {used:.0%} busy")
        starved = starved and used > 0.9
        if late or added[2] <= limit and share >= 0.8:
            break
        busy, total = processor_times()
        delays, share = measure(gamer, flow, index, rate, 8)
    else:
        late = [f"{added[2]:.2f} ms at p99, bulk {share:.3f}"]
    if late and starved:
        pytest.skip(f"{what}: {late[0]}, but the processors were busy with other work each time")
    assert not late, f"{what}: {late[0]}"


@pytest.mark.parametrize("limit", [SHARED, pytest.param(PROMISED, marks=pytest.mark.soak)])
def test_a_game_keeps_its_ping_while_the_machine_serves(limit):
    rate = 100_000_000
    with Lab() as lab:
        server, gamer = lab.host("server"), lab.host("gamer", rate=rate)
        seeder = gamer.daemon()
        lay(seeder, "quake", 400 * MIB)
        others = [lab.host(f"peer{i}").daemon() for i in range(3)]
        for other in others:
            other.wait_games(lambda games: games["quake"]["sources"] >= 1 and games["quake"]["content"])
        check_ping(gamer, GameFlow(gamer, server), 0, rate,
                   lambda: begin_downloads(others), "serving at 100 Mbit/s", limit)


@pytest.mark.parametrize("limit", [SHARED, pytest.param(PROMISED, marks=pytest.mark.soak)])
def test_a_game_keeps_its_ping_while_the_machine_downloads(limit):
    rate = 100_000_000
    with Lab() as lab:
        server, gamer = lab.host("server"), lab.host("gamer", rate=rate)
        sources = [lab.host(f"peer{i}").daemon() for i in range(3)]
        for source in sources:
            lay(source, "quake", 400 * MIB)
        daemon = gamer.daemon()
        daemon.wait_games(lambda games: games["quake"]["sources"] == 3 and games["quake"]["content"])
        check_ping(gamer, GameFlow(server, gamer), 1, rate,
                   lambda: begin_downloads([daemon]), "downloading at 100 Mbit/s", limit)


def test_without_the_guard_the_same_game_would_suffer():
    """What the two tests above are worth."""
    rate = 100_000_000
    with Lab() as lab:
        server, gamer = lab.host("server"), lab.host("gamer", rate=rate)
        seeder = gamer.daemon()
        seeder.cli("config", "ping_guard", "false")
        lay(seeder, "quake", 200 * MIB)
        other = lab.host("peer").daemon()
        other.cli("config", "ping_guard", "false")
        other.wait_games(lambda games: games["quake"]["sources"] == 1 and games["quake"]["content"])
        flow = GameFlow(gamer, server)
        idle = flow.run(2)
        other.cli("get", "quake", "--no-wait")
        other.wait_event("download_progress", where=lambda event: event["done"] > 8 * MIB)
        delays, _ = measure(gamer, flow, 0, rate, 5)
        added = percentile(delays, 0.99) - percentile(idle, 0.5)
        print(f"the guard off, serving at 100 Mbit/s: game packets delayed by {added:.2f} ms (p99)")
        assert added > 5


# ---- The mark ------------------------------------------------------------------------------------------

def test_bulk_is_marked_as_lower_effort_on_the_wire(lab):
    """RFC 8622: each large datagram that leaves the seeder has DSCP 1, over IPv4 and over IPv6."""
    ann = lab.host("ann")
    seeder = ann.daemon()
    lay(seeder, "quake", 4 * MIB)
    port = seeder.address.rsplit(":", 1)[1]
    rules = "".join(f"counter {family}_{what} {{ }}\n" for family in ("ip", "ip6") for what in ("all", "marked"))
    rules += "chain out { type filter hook output priority 0;\n" + "".join(
        f"meta nfproto {protocol} udp sport {port} udp length > 1000 {mark} counter name {family}_{what}\n"
        for protocol, family in (("ipv4", "ip"), ("ipv6", "ip6"))
        for what, mark in (("all", ""), ("marked", f"{family} dscp 1"))) + "}\n"
    (ann.folder / "marks.nft").write_text(f"table inet marks {{\n{rules}}}\n")
    ann.run("nft", "-f", ann.folder / "marks.nft")

    for name, address in (("ben", ann.address), ("cem", f"[{ann.address6}]")):
        other = lab.host(name).daemon(arguments=["--no-discovery", "--peer", f"{address}:{port}"])
        other.wait_games(lambda games: games["quake"]["sources"] == 1 and games["quake"]["content"])
        other.cli("get", "quake")

    listed = json.loads(ann.run("nft", "-j", "list", "counters", "table", "inet", "marks"))["nftables"]
    sent = {entry["counter"]["name"]: entry["counter"]["bytes"] for entry in listed if "counter" in entry}
    print(f"bytes of large datagrams: {sent}")
    for family in ("ip", "ip6"):
        assert sent[f"{family}_marked"] == sent[f"{family}_all"] > 4 * MIB


# ---- Limits ------------------------------------------------------------------------------------------

LIMIT = 10_000_000  # bytes a second


def wire_rate(host, index, seconds):
    """Bytes a second on the wire over so long, from 2 s after now on."""
    let_pass(2)  # what a user is promised
    before, begun = moved(host, index), time.monotonic()
    let_pass(seconds)
    return (moved(host, index) - before) / (time.monotonic() - begun)


def held(host, index, what):
    rate = wire_rate(host, index, 5)
    print(f"{what}: {rate / 1e6:.2f} MB/s on the wire from 2 s on, of {LIMIT / 1e6:.0f}")
    assert 0.9 * LIMIT <= rate <= 1.1 * LIMIT


@pytest.fixture
def pair(lab):
    """A seeder and one that downloads from it, at 400 Mbit/s, in the midst of it."""
    ann, ben = lab.host("ann", rate=400_000_000), lab.host("ben")
    seeder, other = ann.daemon(), ben.daemon()
    lay(seeder, "quake", 600 * MIB)
    other.wait_games(lambda games: games["quake"]["sources"] == 1 and games["quake"]["content"], timeout=60)
    other.cli("get", "quake", "--no-wait")
    other.wait_event("download_progress", where=lambda event: event["done"] > 4 * MIB)
    return ann, ben, seeder, other


def test_an_upload_limit_holds_on_the_wire_within_two_seconds(pair):
    ann, _, seeder, _ = pair
    seeder.cli("limits", "--up", "10M")
    held(ann, 0, "upload limit")
    assert not [event for event in seeder.events if event["event"] == "warning"]


def test_a_download_limit_holds_on_the_wire_within_two_seconds(pair):
    _, ben, _, other = pair
    other.cli("limits", "--down", "10M")
    held(ben, 1, "download limit")
    assert not [event for event in other.events if event["event"] == "warning"]


@pytest.mark.parametrize("way", ["--up", "--down"])
def test_the_limit_of_one_game_holds(pair, way):
    ann, ben, seeder, other = pair
    (seeder if way == "--up" else other).cli("limits", "--game", "quake", way, "10M")
    host, index = (ann, 0) if way == "--up" else (ben, 1)
    held(host, index, f"limit of one game, {way}")
    if way == "--down":  # and of a download that begins under it
        other.cli("cancel", "quake")
        other.cli("get", "quake", "--no-wait")
        assert 0.5 * LIMIT <= wire_rate(host, index, 2) <= 1.1 * LIMIT
    for daemon in (seeder, other):
        assert not [event for event in daemon.events if event["event"] == "warning"]


FLOOD = """
import socket
stranger = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
for _ in range(200_000):  # 20 s on a line of 80 Mbit/s, unless it is ended
    stranger.sendto(b"@" * 1000, ("{}", {}))
"""


def test_a_limit_that_does_not_hold_is_told_until_it_does(lab):
    """No limit keeps a stranger from sending what nobody asked for."""
    ann, ben = lab.host("ann").daemon(), lab.host("ben", rate=80_000_000)
    ann.cli("limits", "--down", "10K")
    address, port = ann.address.rsplit(":", 1)
    flood = lab.start(["python3", "-c", FLOOD.format(address, port)], ben.namespace)
    ann.wait_event("warning", where=lambda event: "the download limit does not hold" in event["message"])
    ann.wait_event("health_changed", where=lambda event: "limits" in event["degraded"])
    mark = ann.mark()
    flood.kill()
    ann.wait_event("health_changed", since=mark, where=lambda event: "limits" not in event["degraded"])


def test_paused_uploads_stop_and_go_on(pair):
    ann, _, seeder, other = pair
    seeder.cli("limits", "--pause-uploads")
    rate = wire_rate(ann, 0, 2)
    print(f"uploads paused: {rate / 1e3:.1f} kB/s on the wire from 2 s on")
    assert rate < 50_000
    mark = other.mark()
    seeder.cli("limits", "--resume-uploads")
    other.wait_event("download_finished", since=mark, timeout=120)
    assert other.count_events("download_failed") == 0
