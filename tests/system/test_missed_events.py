"""A client that connects late, or loses its stream at any point and comes back, shows what is true.

While an operation runs, one more client connects behind each event that is seen, as one does whose
stream broke there. What the first event of each says must be what those say who saw everything, and
what follows must be what they got, to the last event.
"""

import json
import shutil
import subprocess
import threading

import pytest

from lanlab import BUILD, PATIENCE, LabError, make_file
from test_install import Gate, lay

CLIENTS_MAX = 25


class Client:
    """A stream of its own, from its first event on."""

    def __init__(self, daemon):
        self.events, self.changed = [], threading.Condition()
        self.process = daemon.host.lab.start([BUILD / "app/lanspread", "watch", "--json", "--control", daemon.control],
                                             stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=daemon.env)
        threading.Thread(target=self._collect, daemon=True).start()

    def _collect(self):
        for line in self.process.stdout:
            if not line.endswith("\n"):
                return  # closed in the midst of it
            with self.changed:
                self.events.append(json.loads(line))
                self.changed.notify_all()

    def close(self):
        self.process.kill()
        self.process.wait()

    def wait(self, condition):
        with self.changed:
            if not self.changed.wait_for(lambda: condition(self.events), PATIENCE):
                raise LabError("a late client waited in vain; it saw " + ", ".join(event["event"] for event in self.events))


def operations_of(event):
    return sorted((entry["game"], entry["operation"]) for entry in event["operations"])


def state_of(event, game):
    found = [entry for entry in event["games"] if entry["id"] == game]
    return (found[0]["availability"], found[0]["operation"]) if found else None


def settled(event, game, availability):
    """A game that has no folder here need not be in such a list."""
    return state_of(event, game) in ((availability, "none"), None if availability == "remote" else ())


def follow(daemon, start, end, during=lambda event: None):
    """Starts an operation and lets a client connect behind each event, until one of the `end`."""
    seen, clients, over = daemon.mark(), [], False
    start()
    while not over:
        daemon.wait_until(lambda seen=seen: daemon.mark() > seen, what="an event")
        for event in daemon.events[seen:]:
            seen += 1
            if len(clients) < CLIENTS_MAX:
                clients.append(Client(daemon))
                clients[-1].wait(len)
            during(event)
            over = over or event["event"] in (f"{end}_finished", f"{end}_failed")
    return clients


def check(daemon, clients, game, availability):
    """Each client was told the truth; what operations their first events showed."""
    final = daemon.list_games()[game]
    assert (final["availability"], final["operation"]) == (availability, "none")
    assert len(clients) > 2
    for client in clients:
        client.wait(lambda events: any(event["event"] == "local_games_updated" and not event["operations"] and
                                       settled(event, game, availability) for event in events))
    everything = list(daemon.events)
    for client in clients:
        first, rest = client.events[0], client.events[1:]
        assert first["event"] == "local_games_updated"
        # What follows its first event is what those who saw everything got from there on.
        at = next((i for i in range(len(everything), -1, -1) if everything[i:i + len(rest)] == rest), None)
        assert at is not None, [event["event"] for event in client.events]
        lists = [event for event in everything[:at] if event["event"] == "local_games_updated"][-1:] + \
            [event for event in everything[at:] if event["event"] == "local_games_updated"][:1]
        assert operations_of(first) in [operations_of(event) for event in lists]
        # Who looks at these lists alone ends with no operation and the right state.
        last = [event for event in client.events if event["event"] == "local_games_updated"][-1]
        assert not last["operations"] and settled(last, game, availability)
        # And wherever an operation stands in one, the game itself says the same.
        for event in client.events:
            for entry in event.get("operations", ()):
                assert state_of(event, entry["game"])[1] == entry["operation"]
    for client in clients:
        client.close()
    return {operation for client in clients for _, operation in operations_of(client.events[0])}


@pytest.fixture
def party(lab, tmp_path):
    """Ann shares quake over a slow cable; Ben's unpacker waits for the test."""
    gate = Gate(tmp_path)
    ann = lab.host("ann", rate=60_000_000).daemon()
    ben = lab.host("ben").daemon(arguments=["--unpacker", gate.command])
    lay(ann, "quake", {"data.txt": "one"})
    make_file(ann.games / "quake/more.eti.txt", 12 << 20, 3)
    ben.wait_games(lambda games: games["quake"]["sources"] == 1 and games["quake"]["content"])
    return ann, ben, gate


def opening(gate, name):
    """Lets the unpacker go on once such an event was seen."""
    opened = []

    def during(event):
        if event["event"] == name and not opened:
            opened.append(gate.open())
    return during


def test_download_and_install_and_update_and_uninstall(party):
    ann, ben, gate = party
    clients = follow(ben, lambda: ben.cli("get", "quake", "--no-wait"), "download")
    assert "downloading" in check(ben, clients, "quake", "downloaded")

    clients = follow(ben, lambda: ben.cli("install", "quake", "--no-wait"), "install", opening(gate, "install_progress"))
    assert "installing" in check(ben, clients, "quake", "installed")

    lay(ann, "quake", {"data.txt": "two"}, "1.1")
    make_file(ann.games / "quake/more.eti.txt", 12 << 20, 4)
    ben.wait_games(lambda games: games["quake"]["latest_version"] == "1.1" and games["quake"]["variants"] == 1)
    clients = follow(ben, lambda: ben.cli("update", "quake", "--no-wait"), "update", opening(gate, "update_progress"))
    assert "updating" in check(ben, clients, "quake", "installed")

    # Nothing in an uninstall waits for anybody: each rename is held up.
    if shutil.which("strace"):
        tracer = ben.host.lab.start(["strace", "-f", "-o", "/dev/null", "-e", "trace=renameat,renameat2", "-e",
                                     "inject=renameat,renameat2:delay_enter=200000", "-p", ben.pid], stderr=subprocess.PIPE,
                                    text=True)
        assert "attached" in tracer.stderr.readline()
    clients = follow(ben, lambda: ben.cli("uninstall", "quake", "--no-wait"), "uninstall")
    shown = check(ben, clients, "quake", "downloaded")
    assert "uninstalling" in shown or not shutil.which("strace")


def test_what_is_cancelled_or_fails_leaves_no_spinner(party):
    _, ben, gate = party

    def cancel(event):
        if event["event"] == "download_progress":
            ben.cli("cancel", "quake")

    clients = follow(ben, lambda: ben.cli("get", "quake", "--no-wait"), "download", cancel)
    check(ben, clients, "quake", "remote")
    ben.cli("get", "quake")
    gate.command.write_text("#!/bin/sh\nexit 1\n")
    clients = follow(ben, lambda: ben.cli("install", "quake", "--no-wait"), "install")
    check(ben, clients, "quake", "downloaded")
