"""
Programs that carry one file from the server host to the client host. Each has a name, start() (once;
raises Unable with the reason when it cannot be had here), run(round) -> Sample, and stop(). What it
fetched is removed again by run.
"""

import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import time

from measure import MIB, ROOT, Sample, cpu_of, run_client, wait_for_port
from lanlab import run

NGINX = """
user root; worker_processes 1; daemon off; pid {folder}/pid; error_log {folder}/error.log;
events {{ worker_connections 64; }}
http {{ access_log off; sendfile on; client_body_temp_path {folder}/t; proxy_temp_path {folder}/t;
  fastcgi_temp_path {folder}/t; uwsgi_temp_path {folder}/t; scgi_temp_path {folder}/t;
  server {{ listen {address}:8443 ssl; ssl_certificate {folder}/cert.pem; ssl_certificate_key {folder}/key.pem;
    ssl_protocols TLSv1.3; ssl_conf_command Ciphersuites TLS_AES_128_GCM_SHA256; ssl_buffer_size 16k;
    output_buffers 2 256k; root {folder}/data; }} }}
"""


class Unable(Exception):
    """It cannot be measured on this machine, and why."""


class Stage:
    """Where it happens: a lab with two hosts, a folder in memory, the file."""

    def __init__(self, lab, server, client, tmpfs, size, payload):
        self.lab, self.server, self.client = lab, server, client
        self.tmpfs, self.size, self.payload = tmpfs, size, payload
        self.source = tmpfs / "source/big"
        self.file = self.source / "file.bin"
        self.target = tmpfs / "fetched"


class Rival:
    name = ""

    def __init__(self, stage):
        self.stage, self.server = stage, None

    def start(self):
        pass

    def stop(self):
        if self.server and self.server.poll() is None:
            self.server.kill()
            self.server.wait()

    def need(self, *tools):
        for tool in tools:
            if not shutil.which(tool):
                raise Unable(f"{tool} is not installed")

    def serve(self, command, port=None, **options):
        self.server = self.stage.lab.start(command, self.stage.server.namespace, stdout=subprocess.DEVNULL, **options)
        if port:
            wait_for_port(self.stage.lab, self.stage.server, port)

    def fetch(self, command, target=None):
        """One client command; what it wrote must have the file's length."""
        stage = self.stage
        sample = run_client(stage.lab, stage.client, [self.server.pid] if self.server else [], command)
        if target:
            if target.stat().st_size != stage.size:
                raise RuntimeError(f"{self.name}: the file that arrived is another")
            target.unlink()
        return sample


class Iperf(Rival):
    name = "iperf3, TCP, nothing kept"

    def start(self):
        self.need("iperf3")
        self.serve(["iperf3", "-s", "-B", self.stage.server.address], stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + 10
        while "LISTEN" not in self.stage.server.run("ss", "-ltnH", "sport = :5201") and time.monotonic() < deadline:
            pass

    def run(self, _):
        return self.fetch(["iperf3", "-c", self.stage.server.address, "-R", "-n", self.stage.size])


class Https(Rival):
    name = "https (AES-128-GCM), curl"

    def start(self):
        self.need("nginx", "curl", "openssl")
        folder, address = self.stage.tmpfs / "nginx", self.stage.server.address
        folder.mkdir(exist_ok=True)
        (folder / "data").unlink(missing_ok=True)
        (folder / "data").symlink_to(self.stage.source)
        run("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
            "-subj", "/CN=bench", "-addext", f"subjectAltName=IP:{address}", "-keyout", folder / "key.pem", "-out",
            folder / "cert.pem")
        (folder / "conf").write_text(NGINX.format(folder=folder, address=address))
        self.serve(["nginx", "-e", folder / "error.log", "-c", folder / "conf"], 8443)
        self.curl = f"curl -sf --cacert {folder}/cert.pem -o {self.stage.target} https://{address}:8443/file.bin"

    def run(self, _):
        return self.fetch(self.curl.split(), self.stage.target)

    def stop(self):
        if self.server:
            self.server.terminate()
            self.server.wait()


class HttpsHashed(Rival):
    """By the server of another: what a careful person does today."""

    def __init__(self, stage, https, command):
        super().__init__(stage)
        self.https, self.command = https, command
        self.name = f"https, curl, then {command.split()[0]}"

    def run(self, _):
        self.server = self.https.server
        if not self.server:
            raise Unable("https is not there")
        target = self.stage.target
        return self.fetch(["sh", "-c", f"{self.https.curl} && {self.command} {target} >/dev/null"], target)

    def stop(self):
        pass


class Hash(Rival):
    name = "SHA-256 of the file alone (openssl)"

    def run(self, _):
        return self.fetch(["openssl", "dgst", "-sha256", self.stage.file])


class Rsync(Rival):
    name = "rsync -W"

    def start(self):
        self.need("rsync")
        conf = self.stage.tmpfs / "rsyncd.conf"
        conf.write_text(f"use chroot=no\nuid=root\ngid=root\nport=8730\n[d]\npath={self.stage.source}\nread only=yes\n")
        self.serve(["rsync", "--daemon", "--no-detach", "--config", conf], 8730)

    def run(self, _):
        return self.fetch(["rsync", "-W", f"rsync://{self.stage.server.address}:8730/d/file.bin", self.stage.target],
                          self.stage.target)


class Program(Rival):
    """One of the two of bench/*.c: the serving end lives for one run, and tells what it took."""

    program, path_arguments, files = "", (), False

    def start(self):
        run("ninja", "-C", ROOT / "build", f"bench/{self.program}")

    def run(self, _):
        stage, binary = self.stage, ROOT / "build/bench" / self.program
        place = [stage.server.address, 4433, *self.path_arguments]
        server = stage.lab.start([binary, "serve", *place, *([stage.file] if self.files else [])], stage.server.namespace,
                                 stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        server.stderr.readline()
        command = [binary, "fetch", *place, stage.size // MIB, *([stage.target] if self.files else [])]
        client = json.loads(self.fetch(command, stage.target if self.files else None).output)
        told = json.loads(server.stdout.read())
        server.wait()
        return Sample(client["seconds"], *(end["user_s"] + end["system_s"] for end in (told, client)))


class BareMemory(Program):
    name, program = "bare ngtcp2 stream, into memory", "bench-bare-ngtcp2"

    def __init__(self, stage):
        super().__init__(stage)
        self.path_arguments = (stage.payload,)


class BareFile(BareMemory):
    name, files = "bare ngtcp2 stream, into tmpfs", True


class Endpoint(Program):
    name, program = "our endpoint, into memory", "bench-quic-stream"


class Lanspread(Rival):
    name = "lanspread, every byte verified"

    def __init__(self, stage, sources=1):
        super().__init__(stage)
        self.sources, self.daemons = sources, []
        if sources > 1:
            self.name = f"lanspread, {sources} sources"

    def start(self):
        stage, hosts = self.stage, [self.stage.server]
        while len(hosts) < self.sources:
            hosts.append(stage.lab.host(f"server{len(hosts)}-{self.sources}"))
        for number, host in enumerate(hosts):
            # A games folder has one daemon: the others have links to the same file.
            games = stage.tmpfs / (f"source{number}-of-{self.sources}" if number else "source")
            if number:
                shutil.copytree(stage.tmpfs / "source", games, copy_function=os.link,
                                ignore=shutil.ignore_patterns(".*"))
            self.daemons.append(host.daemon(f"source{number}-of-{self.sources}", games=games,
                                            arguments=["--log-level", "warning"]))

    def run(self, number):
        stage, games = self.stage, self.stage.tmpfs / "games"
        client = stage.client.daemon(f"client-{self.sources}-{number}", games=games, arguments=["--log-level", "warning"])
        try:
            client.wait_games(lambda shelf: shelf["big"]["sources"] == self.sources and shelf["big"]["content"], timeout=120)
            before, mine = sum(cpu_of(d.pid) for d in self.daemons), cpu_of(client.pid)
            begun = time.monotonic()
            client.cli("get", "big", timeout=600)
            seconds = time.monotonic() - begun
            sample = Sample(seconds, sum(cpu_of(d.pid) for d in self.daemons) - before, cpu_of(client.pid) - mine)
            if (games / "big/file.bin").stat().st_size != stage.size:
                raise RuntimeError("lanspread: the file that arrived is another")
        finally:
            client.kill()
            shutil.rmtree(games, ignore_errors=True)
        return sample

    def stop(self):
        for daemon in self.daemons:
            daemon.kill()


# ---- libtorrent over TCP, by its Python binding -----------------------------------------------------------

class Libtorrent(Rival):
    name = "libtorrent, TCP, tuned"

    def child(self, *arguments):
        debians = pathlib.Path("/usr/bin/python3")  # the interpreter that has Debian's packages
        return [debians if debians.exists() else sys.executable, ROOT / "bench/libtorrent_peer.py", *arguments]

    def start(self):
        stage = self.stage
        self.torrent = stage.tmpfs / "file.torrent"
        made = subprocess.run([str(word) for word in self.child("make", stage.file, self.torrent)], capture_output=True,
                              text=True, check=False)
        if made.returncode:
            raise Unable(made.stderr.strip().splitlines()[-1])
        self.serve(self.child("seed", stage.server.address, self.torrent, stage.source), 6881)

    def run(self, _):
        folder, client = self.stage.tmpfs / "libtorrent", self.stage.client.address
        folder.mkdir(exist_ok=True)
        sample = self.fetch(self.child("fetch", client, self.torrent, folder, self.stage.server.address),
                            folder / "file.bin")
        # Without the interpreter's start: the child tells when it began to connect.
        sample.seconds = json.loads(sample.output)["seconds"]
        return sample


# ---- syncthing ----------------------------------------------------------------------------------------------

class Syncthing(Rival):
    name = "syncthing"

    def start(self):
        self.need("syncthing", "curl")
        stage = self.stage
        self.home, self.ids = stage.tmpfs / "syncthing", {}
        for name in ("serve", "fetch"):
            run("syncthing", "generate", "--home", self.home / name, "--no-default-folder")
            self.ids[name] = re.search(r'<device id="([A-Z0-9-]+)"', (self.home / name / "config.xml").read_text())[1]
        self.shared = stage.tmpfs / "source"
        (self.shared / ".stfolder").mkdir(exist_ok=True)
        self.server = self.daemon(stage.server, "serve", self.shared, "sendonly")
        self.wait(stage.server, lambda: self.state(stage.server)["localBytes"] >= stage.size and
                  self.state(stage.server)["state"] == "idle")

    def daemon(self, host, name, path, kind):
        stage, other = self.stage, "fetch" if name == "serve" else "serve"
        peer = stage.client if name == "serve" else stage.server
        (self.home / name / "config.xml").write_text(f"""<configuration version="36">
<folder id="f" label="f" path="{path}" type="{kind}" rescanIntervalS="3600" fsWatcherEnabled="false">
<device id="{self.ids['serve']}"/><device id="{self.ids['fetch']}"/><minDiskFree unit="%">0</minDiskFree></folder>
<device id="{self.ids[name]}"><address>dynamic</address></device>
<device id="{self.ids[other]}"><address>tcp://{peer.address}:22000</address><paused>{str(name == 'fetch').lower()}</paused></device>
<gui enabled="true" tls="false"><address>127.0.0.1:8384</address><apikey>key</apikey></gui>
<options><listenAddress>tcp://{host.address}:22000</listenAddress><globalAnnounceEnabled>false</globalAnnounceEnabled>
<localAnnounceEnabled>false</localAnnounceEnabled><relaysEnabled>false</relaysEnabled><natEnabled>false</natEnabled>
<startBrowser>false</startBrowser><urAccepted>-1</urAccepted><crashReportingEnabled>false</crashReportingEnabled>
<autoUpgradeIntervalH>0</autoUpgradeIntervalH><reconnectionIntervalS>1</reconnectionIntervalS></options></configuration>""")
        # Without its monitor, a process around the one that works: that one is measured, and killed.
        return stage.lab.start(["env", "STMONITORED=yes", "syncthing", "serve", "--home", self.home / name,
                                "--no-browser", "--no-restart", "--no-upgrade"], host.namespace, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def ask(self, host, path, method="GET"):
        return host.run("curl", "-s", "-m", "3", "-X", method, "-H", "X-API-Key: key", "http://127.0.0.1:8384" + path,
                        check=False)

    def state(self, host):
        return json.loads(self.ask(host, "/rest/db/status?folder=f"))

    def wait(self, host, condition, timeout=120):
        deadline = time.monotonic() + timeout
        while time.monotonic() < deadline:
            try:
                if condition():
                    return
            except (ValueError, KeyError):
                pass
            time.sleep(0.05)
        raise RuntimeError(f"{self.name}: waited {timeout} s in vain")

    def run(self, number):
        stage, folder = self.stage, self.stage.tmpfs / "synced"
        (folder / ".stfolder").mkdir(parents=True)
        shutil.rmtree(self.home / "fetch/index-v0.14.0.db", ignore_errors=True)
        client = self.daemon(stage.client, "fetch", folder, "receiveonly")
        try:
            self.wait(stage.client, lambda: self.state(stage.client)["state"] == "idle")
            before, mine, begun = cpu_of(self.server.pid), cpu_of(client.pid), time.monotonic()
            self.ask(stage.client, f"/rest/system/resume?device={self.ids['serve']}", "POST")
            arrived = folder / "big/file.bin"
            self.wait(stage.client, lambda: arrived.exists() and arrived.stat().st_size == stage.size)
            seconds = time.monotonic() - begun
            return Sample(seconds, cpu_of(self.server.pid) - before, cpu_of(client.pid) - mine)
        finally:
            client.kill()
            client.wait()
            shutil.rmtree(folder, ignore_errors=True)
