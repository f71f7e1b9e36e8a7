"""The swarm with real daemons: each host's cable shaped, figures printed beside what cannot be beaten."""

import time

import pytest

from hostile import Hostile
from lanlab import Lab, make_file, make_tree, share, tree
from room import GAME, MIB, Room, processor_times

pytestmark = pytest.mark.alone

FRAMING = 1.066  # bytes on the wire for one of the game's, MTU 1500
BUSY = 0.9       # of the processors: a figure that was measured so says nothing
KINDS = ("poison", "missing", "stall", "trickle", "reset")


def test_five_of_six_sources_are_hostile_and_it_arrives_byte_for_byte(lab, tmp_path):
    ann, ben = lab.host("ann", rate=200_000_000).daemon(), lab.host("ben").daemon()
    wanted = share(ann, "quake", make_tree(tmp_path / "quake", large=64 * MIB, small=20))
    ben.wait_games(lambda games: games["quake"]["sources"] == 1 and games["quake"]["content"])
    company = [Hostile(lab.host(f"evil{i}"), kind, "quake", [ann, ben]) for i, kind in enumerate(KINDS)]
    flooder = Hostile(lab.host("flooder"), "flood", "quake", [ann])
    for evil in company:
        evil.wait("claimed", 2)
    ben.wait_games(lambda games: games["quake"]["sources"] == 6)
    ben.cli("get", "quake", timeout=240)
    assert tree(ben.games / "quake") == wanted
    for evil in company:
        assert evil.stop()["asked"] > 0, evil.kind
    assert flooder.stop()["received"] > 0
    ben.wait_event("download_finished")
    blamed = {event["peer"] for event in ben.events if event["event"] == "chunk_rejected"}
    assert blamed and ann.peer_id not in blamed
    assert ben.count_events("download_failed") == 0
    assert ann.count_events("peer_disconnected", peer=ben.peer_id) == 0


# ---- Everybody at once -------------------------------------------------------------------------------

def best_of(tries, limit, measure):
    """measure() → (ratio, text) and perhaps the share of the processors that was in use, else that of the whole call
    counts; until one is within the limit. Where none is, and others held the processors in each of them, nothing was
    measured: that is skipped, not passed."""
    starved = True
    for _ in range(tries):
        busy, all_ = processor_times()
        ratio, text, *own = measure()
        now = processor_times()
        share = own[0] if own else (now[0] - busy) / (now[1] - all_)
        print(f"{text}; processors {share:.0%} busy")
        if ratio <= limit:
            return
        starved = starved and share > BUSY
    if starved:
        pytest.skip(f"{ratio:.3f} instead of {limit}, but the processors were busy with other work each time")
    raise AssertionError(f"{ratio:.3f} is over {limit}")


def everybody(count, rate, size, settled=False):
    with Lab() as lab, Room(lab, count, rate, size) as room:
        if settled:
            room.wait_for_all()
            room.settle()
        outcome = room.everybody_gets_it()
        wanted = tree(room.seeder.games / GAME)
        assert all(tree(daemon.games / GAME) == wanted for daemon in room.others)
        assert outcome.waste <= 0.02
        assert not [event for daemon in room.daemons for event in daemon.events if event["event"] == "chunk_rejected"]
        return outcome.ratio, str(outcome), outcome.busy


# The short forms share two processors with whatever else runs there, and nine or twenty-one daemons need
# them: they print the figure, and hold it to a bound that only a swarm can meet (one server for all would
# take 8 and 20 times one copy). What is promised is asserted in ./dev soak.
SHORT_LIMIT = 2


def test_eight_have_it_in_less_than_the_time_of_two_copies():
    """As many chunks as 512 MiB have, on lines that two processors keep full for nine daemons."""
    best_of(2, SHORT_LIMIT, lambda: everybody(8, 50_000_000, 128 * MIB))


def test_twenty_have_it_in_less_than_the_time_of_two_copies():
    best_of(2, SHORT_LIMIT, lambda: everybody(20, 20_000_000, 64 * MIB))


@pytest.mark.soak
@pytest.mark.parametrize("count, rate, size, limit", [(8, 50_000_000, 128, 1.15), (20, 20_000_000, 64, 1.25)])
def test_slower_rooms_have_it_in_the_time_of_one_copy(count, rate, size, limit):
    best_of(3, limit, lambda: everybody(count, rate, size * MIB, settled=True))


@pytest.mark.soak
def test_eight_at_200_mbit_have_it_in_the_time_of_one_copy():
    best_of(3, 1.15, lambda: everybody(8, 200_000_000, 512 * MIB, settled=True))


@pytest.mark.soak
def test_twenty_at_100_mbit_have_it_in_little_more_than_the_time_of_one_copy():
    best_of(3, 1.25, lambda: everybody(20, 100_000_000, 128 * MIB, settled=True))


# ---- Unequal company ---------------------------------------------------------------------------------

def two_sources(fast, slow, size, flaky):
    """Two sources of unequal lines; `flaky` ("fast", "slow" or None) breaks off a tenth of its answers."""
    with Lab() as lab:
        names, rates = ("fast", "slow"), (fast, slow)
        taker = lab.host("taker").daemon(wrapper=("nice", "-n", "-19"))
        folder, honest = lab.folder / "copy", None
        make_file(folder / "data.bin", size, 3)
        (folder / "version.ini").write_text("1\n")
        for name, rate in zip(names, rates):
            if name != flaky:
                honest = lab.host(name, rate=rate).daemon(wrapper=("nice", "-n", "-19"))
                make_file(honest.games / GAME / "data.bin", size, 3)
                (honest.games / GAME / "version.ini").write_text("1\n")
                taker.wait_games(lambda games: games[GAME]["content"], timeout=120)
        company = None
        if flaky:
            host = lab.host(flaky, rate=rates[names.index(flaky)])
            company = Hostile(host, "flaky", GAME, [honest, taker], folder=folder)
            company.wait("claimed", 2)
        taker.wait_games(lambda games: games[GAME]["sources"] == 2, timeout=120)
        begun = time.monotonic()
        taker.cli("get", GAME, "--no-wait")
        taker.wait_event("download_finished", timeout=300)
        took, bound = time.monotonic() - begun, size * 8 / (fast + slow)
        assert tree(taker.games / GAME) == tree(folder)
        assert taker.count_events("chunk_rejected") == 0
        if company:
            assert company.stop()["sent"] > 0
        waste = taker.status()["received"] / size - 1
        return took / bound, (
            f"{fast / 1e6:.0f} + {slow / 1e6:.0f} Mbit/s, {flaky or 'none'} fails a tenth: {took:.2f} s / {bound:.2f} s = "
            f"{took / bound:.3f}; round-robin would be {size * 4 / slow / bound:.2f}; waste {waste:.2%}")


@pytest.mark.parametrize("flaky", [None, "fast", "slow"])
def test_unequal_sources_give_far_more_than_taking_turns(flaky):
    best_of(2, SHORT_LIMIT, lambda: two_sources(100_000_000, 10_000_000, 96 * MIB, flaky))


@pytest.mark.soak
@pytest.mark.parametrize("flaky", [None, "fast", "slow"])
def test_slower_unequal_sources_give_what_both_lines_hold(flaky):
    best_of(3, 1.15, lambda: two_sources(100_000_000, 10_000_000, 96 * MIB, flaky))


@pytest.mark.soak
@pytest.mark.parametrize("flaky", [None, "fast", "slow"])
def test_sources_of_500_and_50_mbit_give_what_both_lines_hold(flaky):
    best_of(3, 1.15, lambda: two_sources(500_000_000, 50_000_000, 512 * MIB, flaky))


def late_comer(rate, size):
    with Lab() as lab, Room(lab, 4, rate, size) as room:
        *early, late = room.others
        late.kill()
        for daemon in early:
            daemon.wait_games(lambda games: games[GAME]["content"], timeout=120)
        for daemon in early:
            daemon.cli("get", GAME, "--no-wait")
        for daemon in early:
            daemon.wait_event("download_progress", timeout=120, where=lambda event: event["done"] > event["total"] / 2)
        late.start()
        late.wait_games(lambda games: games[GAME]["content"], timeout=60)
        begun = time.monotonic()
        late.cli("get", GAME, "--no-wait")
        late.wait_event("download_finished", timeout=300)
        took, line = time.monotonic() - begun, size * 8 * FRAMING / rate
        assert tree(late.games / GAME) == tree(room.seeder.games / GAME)
        return took / line, f"late comer: {took:.2f} s, its own line takes {line:.2f} s = {took / line:.3f}"


def test_who_comes_late_need_not_wait_for_the_others():
    best_of(2, SHORT_LIMIT, lambda: late_comer(50_000_000, 64 * MIB))


@pytest.mark.soak
def test_who_comes_late_gets_it_at_the_rate_of_their_own_line():
    best_of(3, 1.15, lambda: late_comer(50_000_000, 64 * MIB))


def test_who_downloads_serves_other_games_meanwhile(lab):
    ann, ben, cem = (lab.host(name, rate=rate).daemon() for name, rate in
                     (("ann", 40_000_000), ("ben", None), ("cem", 100_000_000)))
    for seed, (holder, game) in enumerate(((ann, "quake"), (ben, "doom"))):
        make_file(holder.games / game / "data.bin", 12 * MIB, seed)
        (holder.games / game / "version.ini").write_text("1\n")
    for taker, game in ((ben, "quake"), (cem, "doom")):
        taker.wait_games(lambda games, game=game: games[game]["sources"] == 1 and games[game]["content"])
    cem.cli("get", "doom", "--no-wait")
    cem.wait_event("download_progress", where=lambda event: event["done"])
    ben.cli("get", "quake", "--no-wait")
    ben.wait_event("download_progress", where=lambda event: event["done"])
    # Lines go both ways at once: his own download takes two and a half times as long.
    cem.wait_event("download_finished", game="doom")
    assert ben.count_events("download_finished") == 0
    ben.wait_event("download_finished", game="quake")
    assert tree(cem.games / "doom") == tree(ben.games / "doom") and tree(ben.games / "quake") == tree(ann.games / "quake")
    assert cem.count_events("download_all_peers_gone") == ben.count_events("download_all_peers_gone") == 0


def test_two_downloads_share_the_line_fairly_and_neither_starves():
    rate, size = 50_000_000, 40 * MIB
    with Lab() as lab:
        sources = [lab.host(name).daemon() for name in ("ann", "ben")]
        for i, game in enumerate(("quake", "doom")):
            for source in sources:
                make_file(source.games / game / "data.bin", size, i)
                (source.games / game / "version.ini").write_text("1\n")
        taker = lab.host("cem", rate=rate).daemon()
        taker.wait_games(lambda games: all(games[game]["sources"] == 2 and games[game]["content"]
                                           for game in ("quake", "doom")))
        for game in ("quake", "doom"):
            taker.cli("get", game, "--no-wait")
        first = taker.wait_event("download_finished", timeout=120)["game"]
        other = "doom" if first == "quake" else "quake"
        done = max(event["done"] / event["total"] for event in taker.events
                   if event["event"] == "download_progress" and event["game"] == other)
        print(f"two downloads at once: when {first} is done, {other} has {done:.0%}")
        assert done >= 0.75
        taker.wait_event("download_finished", game=other, timeout=120)
