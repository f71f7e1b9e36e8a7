"""A LAN in a box: hosts in network namespaces, one switch, real daemons, and what can go wrong there.

    with Lab() as lab:
        ann, ben = lab.host("ann"), lab.host("ben")
        a, b = ann.daemon(), ben.daemon()
        a.add_game("quake", tree)
        b.wait_games(lambda games: games["quake"]["sources"] == 1)
        b.cli("get", "quake")

Everything is in namespaces with names of this run, so that runs side by side do not meet and nothing
of the machine's own network is touched. What a run that crashed left behind, the next one removes.
Without the rights for namespaces Lab(namespaces=False) puts all daemons on loopback ports.

Nothing here sleeps: waiting is for an event of the daemon, a line, an exit, with a deadline.
"""

import ctypes
import hashlib
import itertools
import json
import os
import pathlib
import random
import re
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time

from controlsocket import ControlSocket

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
BUILD = pathlib.Path(os.environ.get("LANSPREAD_BUILD", ROOT / "build"))
PATIENCE = 30  # seconds: far enough for a machine under load, near enough to fail
NAME = re.compile(r"^lanlab-(\d+)-([0-9a-f]{4})-")
LIBC = ctypes.CDLL(None, use_errno=True)
CLONE_NEWNET = 0x40000000
PR_SET_PDEATHSIG = 1


class LabError(Exception):
    """A command of the lab or of lanspread failed, or a wait was in vain."""


def run(*command, check=True):
    result = subprocess.run([str(word) for word in command], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                            text=True, check=False)
    if check and result.returncode:
        raise LabError(f"{' '.join(map(str, command))}: {result.stderr.strip()}")
    return result.stdout


def can_make_namespaces():
    """Whether this user may; says no with a reason."""
    if os.geteuid() != 0:
        return False, "network namespaces need root"
    for tool in ("ip", "nft", "tc"):
        if not shutil.which(tool):
            return False, f"{tool} is not installed"
    name = f"lanlab-{os.getpid()}-0000-probe"
    result = subprocess.run(["ip", "netns", "add", name], stderr=subprocess.PIPE, text=True, check=False)
    if result.returncode:
        return False, "this machine does not allow namespaces: " + result.stderr.strip()
    run("ip", "netns", "del", name, check=False)
    return True, ""


def alive(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True


def remove_namespace(name):
    for pid in run("ip", "netns", "pids", name, check=False).split():
        try:
            os.kill(int(pid), signal.SIGKILL)
        except ProcessLookupError:
            pass
    run("ip", "netns", "del", name, check=False)


def remove_leftovers():
    """Namespaces and folders of runs whose process is gone."""
    for line in run("ip", "netns", "list", check=False).splitlines():
        match = NAME.match(line.split()[0]) if line.split() else None
        if match and not alive(int(match[1])):
            remove_namespace(line.split()[0])
    for folder in pathlib.Path(tempfile.gettempdir()).glob("lanlab-*"):
        match = NAME.match(folder.name)
        if match and not alive(int(match[1])):
            shutil.rmtree(folder, ignore_errors=True)


def die_with_parent():
    LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def wait_for(condition, timeout=PATIENCE, what="a condition"):
    """For what sends no event (a log, another program's state): asks again until condition() is true."""
    deadline, never = time.monotonic() + timeout, threading.Event()
    while not (result := condition()):
        if time.monotonic() > deadline:
            raise LabError(f"waited {timeout} s in vain for {what}")
        never.wait(0.02)
    return result


def memory_of(pid, line="VmRSS"):
    """Resident bytes of a process, or another line of its status that is in kB."""
    text = pathlib.Path(f"/proc/{pid}/status").read_text()
    return int(re.search(rf"{line}:\s+(\d+) kB", text)[1]) * 1024


def in_memory(path):
    """Bytes of a file that the kernel has in memory."""
    size, page = os.path.getsize(path), os.sysconf("SC_PAGESIZE")
    count = -(-size // page)
    LIBC.mmap.restype = ctypes.c_void_p
    with open(path, "rb") as file:
        address = LIBC.mmap(None, ctypes.c_size_t(size), 1, 1, file.fileno(), ctypes.c_long(0))  # PROT_READ, MAP_SHARED
    pages = (ctypes.c_ubyte * count)()
    failed = LIBC.mincore(ctypes.c_void_p(address), ctypes.c_size_t(size), pages)
    LIBC.munmap(ctypes.c_void_p(address), ctypes.c_size_t(size))
    assert not failed
    return page * sum(one & 1 for one in pages)


# ---- The LAN ------------------------------------------------------------------------------------------

def pass_without_filters(namespace):
    """A switch is no firewall: where the kernel would show bridged packets to its tables, it costs each of them time."""
    folder = "/proc/sys/net/bridge"
    run("ip", "netns", "exec", namespace, "sh", "-c",
        f"for file in {folder}/bridge-nf-call-*; do [ ! -e $file ] || echo 0 >$file; done")


class Lab:
    """One switch and its hosts. mtu and rate (bits/s, for each cable and direction) hold for all.
    Without discovery (as on loopback, or with LANLAB_DISCOVERY=0) each daemon is told of the others."""

    def __init__(self, namespaces=True, mtu=1500, rate=None, subnet=77, discovery=None):
        self.namespaces, self.mtu, self.rate, self.subnet = namespaces, mtu, rate, subnet
        wanted = os.environ.get("LANLAB_DISCOVERY") != "0"
        self.discovery = namespaces and (wanted if discovery is None else discovery)
        self.prefix = f"lanlab-{os.getpid()}-{secrets.token_hex(2)}-"
        self.hosts, self.processes, self.switches = [], [], {}
        if namespaces:
            remove_leftovers()
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix=self.prefix))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        for host in self.hosts:
            for daemon in host.daemons:
                daemon.kill()
        for process in self.processes:
            if process.poll() is None:
                process.kill()
            process.wait()
        for host in self.hosts:
            if host.namespace:
                remove_namespace(host.namespace)
        for name in self.switches.values():
            remove_namespace(name)
        self.switches = {}
        shutil.rmtree(self.folder, ignore_errors=True)

    def switch(self, name="switch"):
        """The namespace of a switch, made at first use."""
        if name not in self.switches:
            namespace = self.prefix + name
            run("ip", "netns", "add", namespace)
            self.switches[name] = namespace
            run("ip", "-n", namespace, "link", "add", "br0", "type", "bridge", "mcast_snooping", "0")
            pass_without_filters(namespace)
            run("ip", "-n", namespace, "link", "set", "br0", "mtu", self.mtu, "up")
        return self.switches[name]

    def host(self, name, **options):
        host = Host(self, name, len(self.hosts) + 1, **options)
        self.hosts.append(host)
        return host

    def join_switches(self, one, other, rate=None, mtu=None):
        """A cable between two switches: an uplink, with a rate if it is a slow one. A switch drops what is too
        large for a cable and tells nobody."""
        a, b, mtu = self.switch(one), self.switch(other), mtu or self.mtu
        end, far = f"to-{other}"[:15], f"to-{one}"[:15]
        run("ip", "-n", a, "link", "add", end, "mtu", mtu, "type", "veth", "peer", far, "netns", b)
        for namespace, port in ((a, end), (b, far)):
            run("ip", "-n", namespace, "link", "set", port, "mtu", mtu, "master", "br0", "up")
            shape(namespace, port, rate)

    def start(self, command, namespace=None, **options):
        """A process that ends with the lab, and with the lab's process."""
        inside = ["nsenter", f"--net=/run/netns/{namespace}"] if namespace else []
        process = subprocess.Popen(inside + [str(word) for word in command], stdin=subprocess.DEVNULL,
                                   preexec_fn=die_with_parent, start_new_session=True, **options)
        self.processes.append(process)
        return process

    def logs(self, lines=40):
        """The end of every daemon's log, for a failed test."""
        parts = []
        for host in self.hosts:
            for daemon in host.daemons:
                text = daemon.log.read_text(errors="replace").splitlines()[-lines:] if daemon.log.exists() else []
                parts.append(f"---- {daemon.name} (exit {daemon.process.poll() if daemon.process else None})\n" +
                             "\n".join(text))
                parts.append("---- its last events\n" + "\n".join(
                    json.dumps(event)[:300] for event in daemon.events[-12:]))
        return "\n".join(parts)


def shape(namespace, interface, rate):
    """Limits what leaves through an interface to `rate` bits a second; None: no limit."""
    run("tc", "-n", namespace, "qdisc", "del", "dev", interface, "root", check=False)
    if rate:
        burst = max(rate // 8 // 100, 16 * 1024)
        run("tc", "-n", namespace, "qdisc", "add", "dev", interface, "root", "tbf", "rate", f"{rate}bit",
            "burst", burst, "latency", "50ms")


class Host:
    """A machine on the LAN, with eth0 on a switch; on loopback (no namespaces) a name and no more."""

    def __init__(self, lab, name, number, switch="switch", rate=None, mtu=None):
        self.lab, self.name, self.number, self.daemons = lab, name, number, []
        self.namespace, self.address, self.address6 = None, "127.0.0.1", "::1"
        self.folder = lab.folder / name
        self.folder.mkdir()
        if not lab.namespaces:
            return
        self.namespace = lab.prefix + name
        self.address = f"10.{lab.subnet}.0.{number}"
        self.address6 = f"fd{lab.subnet:02x}::{number:x}"
        run("ip", "netns", "add", self.namespace)
        run("ip", "-n", self.namespace, "link", "set", "lo", "up")
        self.ports = {}
        self.add_interface("eth0", switch, [f"{self.address}/24", f"{self.address6}/64"], rate or lab.rate, mtu)
        run("ip", "-n", self.namespace, "route", "add", "default", "dev", "eth0")

    def add_interface(self, name, switch, addresses=(), rate=None, mtu=None):
        """switch None: a cable that leads nowhere."""
        namespace = self.lab.switch(switch or f"dead-{self.name}-{name}")
        port, mtu = f"{self.name}-{name}"[-15:], mtu or self.lab.mtu
        run("ip", "-n", self.namespace, "link", "add", name, "mtu", mtu, "type", "veth", "peer", port, "netns",
            namespace)
        run("ip", "-n", namespace, "link", "set", port, "mtu", mtu, "master", "br0", "up")
        run("ip", "netns", "exec", self.namespace, "sysctl", "-qw", f"net.ipv6.conf.{name}.accept_dad=0", check=False)
        run("ip", "-n", self.namespace, "link", "set", name, "up")
        for address in addresses:
            run("ip", "-n", self.namespace, "addr", "add", address, "dev", name, *(["nodad"] if ":" in address else []))
        self.ports[name] = (namespace, port)
        self.limit(rate, name)

    def limit(self, rate, interface="eth0"):
        """Bits a second, both ways; None lifts it."""
        namespace, port = self.ports[interface]
        shape(self.namespace, interface, rate)
        shape(namespace, port, rate)

    def unplug(self, interface="eth0"):
        """Pulls the cable at the switch: the host loses its carrier."""
        namespace, port = self.ports[interface]
        run("ip", "-n", namespace, "link", "set", port, "down")

    def plug(self, interface="eth0"):
        namespace, port = self.ports[interface]
        run("ip", "-n", namespace, "link", "set", port, "up")

    def lose(self, percent):
        """Drops so many of a hundred packets, each way, at random; 100: a silent wall; 0: none."""
        run("ip", "netns", "exec", self.namespace, "nft", "delete", "table", "inet", "loss", check=False)
        if not percent:
            return
        rules = "".join(
            f"chain {hook} {{ type filter hook {hook} priority 0; {way} eth0 " +
            (f"numgen random mod 1000 < {int(percent * 10)} " if percent < 100 else "") + "drop; }\n"
            for hook, way in (("input", "iifname"), ("output", "oifname")))
        subprocess.run(["ip", "netns", "exec", self.namespace, "nft", "-f", "-"], input=f"table inet loss {{\n{rules}}}\n",
                       text=True, check=True)

    def traffic(self, interface="eth0"):
        """So far, by the interface itself: {"tx": {"bytes", "packets", ...}, "rx": {...}}."""
        return json.loads(run("ip", "-n", self.namespace, "-s", "-j", "link", "show", interface))[0]["stats64"]

    def sent_and_received(self, interface="eth0"):
        """Bytes on the wire so far."""
        stats = self.traffic(interface)
        return stats["tx"]["bytes"], stats["rx"]["bytes"]

    def segment_early(self, interface="eth0"):
        """Batches are cut into packets before the cable, as a real one would have it, not behind it."""
        run("ip", "-n", self.namespace, "link", "set", interface, "gso_max_segs", "1")

    def relay(self, target, delay=0.0, port=0):
        """A UDP relay on this host to (address, port) that holds every datagram for `delay` seconds.
        Returns its port."""
        process = self.lab.start([sys.executable, __file__, "relay", port, *target, delay], self.namespace,
                                 stdout=subprocess.PIPE, text=True)
        return int(process.stdout.readline())

    def run(self, *command, check=True):
        inside = ["nsenter", f"--net=/run/netns/{self.namespace}"] if self.namespace else []
        return run(*inside, *command, check=check)

    def daemon(self, name=None, **options):
        daemon = Daemon(self, name or self.name, **options)
        self.daemons.append(daemon)
        return daemon


# ---- A daemon -----------------------------------------------------------------------------------------

class Daemon:
    """`lanspread run` on a host, with folders of its own; started and ready when the constructor returns."""

    def __init__(self, host, name, arguments=(), games=None, state=None, start=True, http="off", wrapper=(), env=None):
        self.host, self.name, self.wrapper = host, name, list(wrapper)
        self.folder = host.folder / name
        self.folder.mkdir(exist_ok=True)
        self.games = pathlib.Path(games or self.folder / "games")
        self.state = pathlib.Path(state or self.folder / "state")
        self.games.mkdir(exist_ok=True)
        self.program = BUILD / "app/lanspread"
        self.control, self.log = self.folder / "control.sock", self.folder / "log"
        self.arguments, self.http = [str(word) for word in arguments], http
        self.process = self.ready = self.watcher = self.collector = None
        self.events, self.changed = [], threading.Condition()
        self.env = {key: value for key, value in os.environ.items()
                    if not key.startswith(("LANSPREAD_", "XDG_"))}
        self.env.update({"HOME": str(self.folder), **(env or {})})
        if start:
            self.start()

    def command(self):
        port = [] if "--listen" in self.arguments else ["--listen", f"{self.host.address}:0"] \
            if not self.host.lab.namespaces else []
        lonely = []
        if not self.host.lab.discovery and "--no-discovery" not in self.arguments:
            lonely.append("--no-discovery")
            for other in (daemon for host in self.host.lab.hosts for daemon in host.daemons):
                if other is not self and other.ready:
                    lonely += ["--peer", other.address]
        return self.wrapper + [self.program, "run", "--json", "--name", self.name, "--games", self.games,
                               "--state", self.state, "--control", self.control, "--http", self.http, *port, *lonely,
                               *self.arguments]

    def spawn(self, *more):
        """Starts it and does not wait."""
        with open(self.log, "ab") as log:
            self.process = self.host.lab.start(self.command() + [str(word) for word in more], self.host.namespace,
                                               stdout=subprocess.PIPE, stderr=log, text=True, env=self.env)
        self.started = time.monotonic()

    def start(self, *more):
        """Starts it and waits for its ready line."""
        self.spawn(*more)
        line = self.process.stdout.readline()
        if '"ready":true' not in line:
            raise LabError(f"{self.name} did not start (exit {self.process.wait()}):\n" +
                           self.log.read_text(errors="replace")[-2000:])
        self.ready = json.loads(line)
        self.watch()
        return self

    @property
    def pid(self):
        return self.process.pid

    @property
    def peer_id(self):
        return self.ready["peer_id"]

    @property
    def address(self):
        """HOST:PORT for another's --peer."""
        return f"{self.host.address}:{self.ready['listen'][0].rsplit(':', 1)[1]}"

    # ---- Commands

    def run_cli(self, *arguments, timeout=300):
        """The finished process of one command line, with its texts."""
        command = [BUILD / "app/lanspread", arguments[0], "--control", self.control, *arguments[1:]]
        return subprocess.run([str(word) for word in command], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                              text=True, check=False, timeout=timeout, env=self.env, stdin=subprocess.DEVNULL)

    def cli(self, *arguments, timeout=300):
        """A command with --json: its document (of a waiting command the last one). LabError if it failed."""
        result = self.run_cli(*arguments, "--json", timeout=timeout)
        if result.returncode:
            raise LabError(f"{self.name}: lanspread {' '.join(map(str, arguments))}: exit {result.returncode}: "
                           f"{result.stderr.strip()} (the daemon: exit {self.process and self.process.poll()}; its socket "
                           f"is {'there' if self.control.exists() else 'gone'}, its folder {'there' if self.folder.exists() else 'gone'})")
        return json.loads(result.stdout.strip().splitlines()[-1])

    def start_cli(self, *arguments):
        """A command that goes on while the test does; its output is JSON lines."""
        command = [BUILD / "app/lanspread", arguments[0], "--control", self.control, *arguments[1:], "--json"]
        return self.host.lab.start(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=self.env)

    def list_games(self):
        return {game["id"]: game for game in self.cli("games")["games"]}

    def list_peers(self):
        return {peer["id"]: peer for peer in self.cli("peers")["peers"]}

    def status(self):
        return self.cli("status")

    def add_game(self, game, path, version="1.0", title=None, **options):
        flags = [f"--{name}" for name, value in options.items() if value]
        return self.cli("add", path, "--id", game, "--title", title or game.title(), "--version", version, *flags)

    # ---- Events

    def watch(self):
        """Collects every event from now on in self.events."""
        self.watcher = ControlSocket(self.control)
        self.collector = threading.Thread(target=self._collect, args=(self.watcher,), daemon=True)
        self.collector.start()

    def _collect(self, stream):
        for event in itertools.chain(stream, [{"event": "_stream_closed"}]):
            with self.changed:
                self.events.append(event)
                self.changed.notify_all()

    def mark(self):
        """A place in the events, for `since`."""
        with self.changed:
            return len(self.events)

    def wait_event(self, name, since=0, timeout=PATIENCE, where=lambda event: True, **members):
        """The first event of that name with those members, at or after `since`."""
        def found():
            for event in self.events[since:]:
                if event["event"] == name and all(event.get(key) == value for key, value in members.items()) \
                        and where(event):
                    return event
            return None

        deadline = time.monotonic() + timeout
        with self.changed:
            while not found():
                left = deadline - time.monotonic()
                if left <= 0 or not self.changed.wait(left):
                    if found():
                        break
                    raise LabError(f"{self.name}: no {name} {members or ''} within {timeout} s; it saw " +
                                   ", ".join(event["event"] for event in self.events[since:])[-1500:])
            return found()

    def wait_any(self, names, since=0, timeout=PATIENCE):
        """The first event with one of those names, at or after `since`."""
        def found():
            return next((event for event in self.events[since:] if event["event"] in names), None)

        return self.wait_until(found, timeout, " or ".join(names))

    def wait_done(self, operation, game, since=0, timeout=PATIENCE):
        """As a command that waits: until the operation has finished, and the game is free for another."""
        def found():
            events = iter(self.events[since:])
            for event in events:
                if event["event"] in (f"{operation}_failed", "refused") or event.get("ok") is False:
                    raise LabError(f"{self.name}: {event}")
                if event["event"] == f"{operation}_finished" and event["game"] == game:
                    break
            return any(event["event"] == "local_games_updated" and
                       game not in [one["game"] for one in event["operations"]] for event in events)

        self.wait_until(found, timeout, f"the end of {operation} of {game}")

    def count_events(self, name, since=0, **members):
        with self.changed:
            return sum(1 for event in self.events[since:] if event["event"] == name and
                       all(event.get(key) == value for key, value in members.items()))

    def wait_until(self, condition, timeout=PATIENCE, what="a condition"):
        """Asks again after each event until condition() is true; returns what it gave."""
        deadline = time.monotonic() + timeout
        while True:
            seen = self.mark()
            result = condition()
            if result:
                return result
            with self.changed:
                while len(self.events) == seen:
                    left = deadline - time.monotonic()
                    if left <= 0 or not self.changed.wait(left):
                        if len(self.events) == seen:
                            raise LabError(f"{self.name}: waited {timeout} s in vain for {what}")

    def wait_games(self, condition, timeout=PATIENCE):
        """Until the games, by id, satisfy it (a KeyError counts as no)."""
        def asked():
            games = self.list_games()
            try:
                return games if condition(games) else None
            except (KeyError, TypeError):
                return None

        return self.wait_until(asked, timeout, "its games to be right")

    def wait_peers(self, count, timeout=PATIENCE):
        """Until so many peers are connected."""
        def asked():
            peers = {key: peer for key, peer in self.list_peers().items() if peer["connected"]}
            return [peers] if len(peers) == count else None

        return self.wait_until(asked, timeout, f"{count} peers")[0]

    def wait_log(self, text, timeout=PATIENCE):
        """Until its log has that text."""
        return wait_for(lambda: text in self.log.read_text(errors="replace"), timeout, f"{text!r} in the log of {self.name}")

    def children(self):
        """{pid: name} of its child processes."""
        found = {}
        for path in pathlib.Path(f"/proc/{self.pid}/task").glob("*/children"):
            for pid in path.read_text().split():
                try:
                    found[int(pid)] = pathlib.Path(f"/proc/{pid}/comm").read_text().strip()
                except OSError:
                    pass  # gone between the two looks
        return found

    def service(self, name):
        """One service of `status`."""
        return next(service for service in self.status()["services"] if service["name"] == name)

    # ---- The end

    def stop(self, how=signal.SIGTERM, timeout=60):
        """Signals it; (exit code, seconds until it was gone)."""
        begun = time.monotonic()
        self.process.send_signal(how)
        code = self.process.wait(timeout)
        return code, time.monotonic() - begun

    def kill(self):
        """SIGKILL; nobody watches it any more."""
        if self.process and self.process.poll() is None:
            self.process.kill()
        if self.process:
            self.process.wait()
        if self.watcher:
            self.watcher.close()

    def restart(self, *more):
        self.kill()
        return self.start(*more)

    def memory(self):
        """Resident bytes of the daemon itself."""
        return memory_of(self.pid)

    def reset_peak_memory(self):
        pathlib.Path(f"/proc/{self.pid}/clear_refs").write_text("5")

    def peak_memory(self):
        """The most resident bytes since reset_peak_memory()."""
        return memory_of(self.pid, "VmHWM")

    def descriptors(self):
        """How many it has open."""
        return len(os.listdir(f"/proc/{self.pid}/fd"))

    def cpu_seconds(self):
        fields = pathlib.Path(f"/proc/{self.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


# ---- Files --------------------------------------------------------------------------------------------

def make_file(path, size, seed):
    """Random bytes that are the same for the same seed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    source = random.Random(seed)
    with open(path, "wb") as out:
        while size > 0:
            out.write(source.randbytes(min(size, 1 << 20)))
            size -= min(size, 1 << 20)
    return path


def make_tree(folder, large=8 << 20, small=50, seed=1):
    """One large file, small ones, empty ones, nested folders, names in Unicode."""
    source = random.Random(seed)
    make_file(folder / "data" / "large.bin", large, seed)
    for i in range(small):
        make_file(folder / "maps" / f"{i % 7}" / f"level {i}.map", source.randrange(1, 40000), (seed, i).__hash__())
    for name in ("empty", "maps/empty too", "Ünïcödé/Größe.txt", "日本語/ゲーム.dat", "🎮.cfg"):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"" if "empty" in name else name.encode())
    script = folder / "start.sh"
    script.write_text("#!/bin/sh\nexit 0\n")
    script.chmod(0o755)
    return folder


def share(daemon, game, folder, version="1.0"):
    """Lays a folder into a daemon's games as a user would, without copying it in by `add`; its tree()."""
    target = daemon.games / game
    folder.rename(target)
    (target / "version.ini").write_text(version + "\n")
    return tree(target)


def tree(folder, without=(".lanspread", "local", "version.ini")):
    """{path: hash} of every file below, for comparing."""
    found = {}
    for path in sorted(pathlib.Path(folder).rglob("*")):
        name = path.relative_to(folder)
        if name.parts[0] in without or name.parts[0].startswith("local.kept-") or not path.is_file():
            continue
        with open(path, "rb") as file:
            found[name.as_posix()] = hashlib.file_digest(file, "sha256").hexdigest()
    return found


# ---- Helpers that run inside a namespace ---------------------------------------------------------------

def relay(port, address, target_port, delay):
    """Forwards datagrams both ways, each `delay` seconds late, in order, for any number of clients."""
    target = (address, int(target_port))
    front = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    front.bind(("0.0.0.0", int(port)))
    print(front.getsockname()[1], flush=True)
    backs, waiting, ready = {}, [], threading.Condition()

    def later(sock, data, to):
        with ready:
            waiting.append((time.monotonic() + float(delay), sock, data, to))
            ready.notify()

    def deliver():
        while True:
            with ready:
                while not waiting:
                    ready.wait()
                left = waiting[0][0] - time.monotonic()
                if left > 0:
                    ready.wait(left)
                    continue
                _, sock, data, to = waiting.pop(0)
            sock.sendto(data, to)

    def listen_back(sock, client):
        while True:
            later(front, sock.recv(65536), client)

    threading.Thread(target=deliver, daemon=True).start()
    while True:
        data, client = front.recvfrom(65536)
        if client not in backs:
            backs[client] = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            backs[client].connect(target)
            threading.Thread(target=listen_back, args=(backs[client], client), daemon=True).start()
        later(backs[client], data, target)


def proxy(listening_fd, namespace, port):
    """Accepts on a socket of the machine's own network and connects to the port inside a namespace."""
    listening = socket.socket(fileno=int(listening_fd))
    handle = os.open(f"/run/netns/{namespace}", os.O_RDONLY)
    if LIBC.setns(handle, CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), "setns")

    def pump(source, sink):
        try:
            while data := source.recv(65536):
                sink.sendall(data)
        except OSError:
            pass
        try:
            sink.shutdown(socket.SHUT_WR)
        except OSError:
            pass

    while True:
        client, _ = listening.accept()
        try:
            server = socket.create_connection(("127.0.0.1", int(port)))
        except OSError:
            client.close()
            continue
        threading.Thread(target=pump, args=(client, server), daemon=True).start()
        threading.Thread(target=pump, args=(server, client), daemon=True).start()


if __name__ == "__main__":
    {"relay": relay, "proxy": proxy}[sys.argv[1]](*sys.argv[2:])
