#!/usr/bin/python3
"""Holds docs/api.yaml and the server together: every route of the server's table is in the document, every
operation of the document answers as it says, refuses strangers as it says, and so does a peer that fails.

usage: check_api.py FAKE-SERVER DOCS/API.YAML [LANSPREAD]

With the last argument every operation is tried on a real daemon with one game too.
"""
import http.client
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import urllib.parse

try:
    import jsonschema
    import yaml
except ImportError as error:
    print(f"skipped: {error}")
    sys.exit(77)

GAME = {"id": "quake", "title": "Quake", "availability": "installed", "local_version": "1", "latest_version": "1"}


class Server:
    def __init__(self, binary):
        self.child = subprocess.Popen([binary, "0"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        url = urllib.parse.urlsplit(self.child.stdout.readline().strip())
        self.address, self.token = url.netloc, url.query.removeprefix("token=")

    def tell(self, command):
        print(json.dumps(command), file=self.child.stdin, flush=True)
        assert self.child.stdout.readline().strip() == "done", command

    def ask(self, method, path, body=None, token=True):
        connection = http.client.HTTPConnection(self.address, timeout=20)
        headers = {"Authorization": f"Bearer {self.token}"} if token else {}
        if body is not None:
            headers["Content-Type"] = "application/json"
        connection.request(method.upper(), path, None if body is None else json.dumps(body), headers)
        reply = connection.getresponse()
        kind = (reply.getheader("Content-Type") or "").split(";")[0]
        data = b"" if kind == "text/event-stream" else reply.read()
        connection.close()
        return reply.status, kind, data

    def stop(self):
        self.child.stdin.close()
        return self.child.wait()


class Daemon(Server):
    """A peer that is real: what it says of its own is held against the schemas."""

    def __init__(self, binary):  # pylint: disable=super-init-not-called
        self.folder = tempfile.TemporaryDirectory(prefix="lanspread-api-")  # pylint: disable=consider-using-with
        root = pathlib.Path(self.folder.name)
        game = root / "games/quake"
        game.mkdir(parents=True)
        (game / "data").write_bytes(b"x" * 3_000_000)
        (game / "start.sh").write_text("#!/bin/sh\n")
        (game / "version.ini").write_text("1\n")
        opener = root / "bin/xdg-open"  # no window of a file manager during the tests
        opener.parent.mkdir()
        opener.write_text("#!/bin/sh\n")
        opener.chmod(0o755)
        self.child = subprocess.Popen(
            [binary, "run", "--json", "--games", root / "games", "--state", root / "state", "--listen", "127.0.0.1:0",
             "--http", "127.0.0.1:0", "--no-discovery", "--control", root / "control", "--log-level", "error"],
            env=os.environ | {"PATH": f"{opener.parent}:{os.environ['PATH']}"}, stdout=subprocess.PIPE, text=True)
        url = urllib.parse.urlsplit(json.loads(self.child.stdout.readline())["page"])
        self.address, self.token = url.netloc, url.query.removeprefix("token=")
        while json.loads(self.ask("GET", "/api/games/quake")[2]).get("error"):
            pass  # it is being hashed

    def stop(self):
        self.child.terminate()
        code = self.child.wait()
        self.folder.cleanup()
        return code


def resolve(document, node):
    while isinstance(node, dict) and "$ref" in node:
        target = document
        for part in node["$ref"].removeprefix("#/").split("/"):
            target = target[part]
        node = target
    return node


def check_reply(document, operation, status, kind, data):
    responses = operation["responses"]
    response = resolve(document, responses.get(str(status), responses.get("default")))
    content = response.get("content", {})
    if kind not in content and "*/*" not in content:
        return f"{status} with {kind or 'no content'} is not described"
    schema = content.get(kind, {}).get("schema")
    if kind == "application/json" and schema:
        whole = {"components": document["components"], **schema}
        jsonschema.Draft202012Validator(whole).validate(json.loads(data))
    return None


def asset_of(server):
    _, _, page = server.ask("GET", "/")
    found = re.search(rb"/assets/([^\"]+)", page)
    return found.group(1).decode() if found else None


def fill(server, path, parameters):
    for parameter in parameters:
        value = parameter["example"]
        if parameter["name"] == "file":
            value = asset_of(server) or value
        path = path.replace("{" + parameter["name"] + "}", urllib.parse.quote(value))
    return path


def operations(document):
    for path, item in document["paths"].items():
        for method, operation in item.items():
            if method != "parameters":
                yield path, method, operation, item.get("parameters", [])


def try_operation(server, document, path, method, operation, parameters):
    """Everything that one operation promises; gives what it did not keep."""
    faults = []
    target = fill(server, path, parameters)
    body = None
    if "requestBody" in operation:
        media = operation["requestBody"]["content"]["application/json"]
        body = media["example"]
        jsonschema.Draft202012Validator(media["schema"]).validate(body)
    server.tell({"put": GAME})
    server.tell({"script": "torrent_list", "answer": {"ok": True, "result": {"torrents": []}}})
    status, kind, data = server.ask(method, target, body)
    built = asset_of(server) is not None
    if status != 200 and (built or path.startswith("/api")):
        faults.append(f"answers {status}: {data[:200]!r}")
    faults.append(check_reply(document, operation, status, kind, data))
    status, _, _ = server.ask(method, target, body, token=False)
    public = operation.get("security") == []
    if (status == 401) != (not public or path == "/"):
        faults.append(f"answers {status} to a stranger")
    return [f"{method} {path}: {fault}" for fault in faults if fault]


def try_real(document, binary):
    """Every operation on a real daemon: what it answers is described, and reading works. What takes the game away
    comes last."""
    faults = []
    server = Daemon(binary)
    order = sorted(operations(document), key=lambda item: item[1] == "delete" or item[0].endswith("/uninstall"))
    for path, method, operation, parameters in order:
        target, body = fill(server, path, parameters), None
        if "requestBody" in operation:
            body = operation["requestBody"]["content"]["application/json"]["example"]
        status, kind, data = server.ask(method, target, body)
        try:
            fault = check_reply(document, operation, status, kind, data)
        except jsonschema.ValidationError as error:
            fault = f"{error.json_path}: {error.message}"
        if method == "get" and status != 200 and "torrent" not in path and path not in ("/", "/assets/{file}"):
            fault = fault or f"{status}: {data[:200]!r}"
        if fault:
            faults.append(f"real: {method} {path}: {fault}")
    if server.stop() != 0:
        faults.append("the daemon did not end well")
    return faults


def main():
    binary, file, *daemon = sys.argv[1:]
    with open(file, encoding="utf-8") as stream:
        document = yaml.safe_load(stream)
    table = subprocess.run([binary, "--routes"], stdout=subprocess.PIPE, text=True, check=True).stdout
    served = {tuple(line.split()) for line in table.splitlines()}
    described = {(method.upper(), path) for path, method, _, _ in operations(document)}
    faults = [f"not described: {' '.join(route)}" for route in sorted(served - described)]
    faults += [f"not served: {' '.join(route)}" for route in sorted(described - served)]
    server = Server(binary)
    count = 0
    for path, method, operation, parameters in operations(document):
        count += 1
        try:
            faults += try_operation(server, document, path, method, operation, parameters)
        except jsonschema.ValidationError as error:
            faults.append(f"{method} {path}: {error.json_path}: {error.message}")
    if server.stop() != 0:
        faults.append("the server did not end well")
    for other in daemon:
        faults += try_real(document, other)
    for fault in faults:
        print(fault)
    print(f"{count} operations, {len(faults)} faults")
    return bool(faults)


if __name__ == "__main__":
    sys.exit(main())
