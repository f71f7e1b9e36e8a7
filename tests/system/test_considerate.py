"""The swarm beside what else a gamer's machine does: pings, limits, a pause. Figures are printed."""

import time

import pytest

from gameflow import GameFlow, let_pass, percentile
from lanlab import Lab, make_file
from room import processor_times

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


def added_delay(delays, idle, share):
    return percentile(sorted(delays), share) - percentile(idle, 0.5)


def begin_and_measure(gamer, flow, index, rate, begin):
    """What begins bulk, beside a game that is there already: the game's delays in the first second from then on and
    in the first eight, and bulk's share of what the game leaves of the line."""
    packets = flow.start(1 + 8 + 1)
    let_pass(1)  # the game is there first
    before, at, begun = moved(gamer, index), time.time_ns(), time.monotonic()
    begin()
    let_pass(begun + 8 - time.monotonic())
    share = ((moved(gamer, index) - before) / (time.monotonic() - begun) - GAME) / (rate / 8 - GAME)
    came = [((sent - at) / 1e9, delay) for sent, delay in packets()]
    first, eight = ([delay for since, delay in came if 0 <= since < most] for most in (1, 8))
    return first, eight, share


def check_ping(gamer, flow, index, rate, begin, what, limit):
    """From the first moment on, and then in one of three times eight seconds. Where others held the processors in
    each of them, the delay was not the line's: that is skipped, not passed."""
    idle = flow.run(2)
    busy, total = processor_times()
    first, delays, share = begin_and_measure(gamer, flow, index, rate, begin)
    # Of 64 packets one is the 99th percentile; on shared processors one may be late.
    added = added_delay(first, idle, 0.99 if limit == PROMISED else 0.9)
    print(f"{what}, the first second: game packets delayed by {added:.2f} ms, at most {added_delay(first, idle, 1):.2f}")
    late = [f"{added:.2f} ms in the first second"] if added > limit else []
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
                   lambda: [other.cli("get", "quake", "--no-wait") for other in others], "serving at 100 Mbit/s", limit)


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
                   lambda: daemon.cli("get", "quake", "--no-wait"), "downloading at 100 Mbit/s", limit)


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
    held(ann if way == "--up" else ben, 0 if way == "--up" else 1, f"limit of one game, {way}")


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
