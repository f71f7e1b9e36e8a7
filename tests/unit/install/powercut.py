#!/usr/bin/python3
"""Power cuts: the operation log of each transaction is replayed up to every point, with up to three
operations that were not synced yet lost, in every combination that a filesystem could leave. What the
next start makes of it is the old state or the new one, and the user's files are all there.

usage: powercut.py INSTALL-DRIVER. LANSPREAD_FULL=1: three lost operations; else two.

The model: a file's content, length, mode and times are on the disk once the file was synced, a name
once the folder that it is in was (both folders for a rename), and everything once the filesystem was.
What is not on the disk may be there or not, each for itself, as long as what remains can be done in
order at all (a file needs its folder). A lost write leaves zeros.
"""

import copy
import itertools
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from scenarios import SCENARIOS, USER_TEXTS, drive, snapshot

DRIVER = sys.argv[1]
LOST_MAX = 3 if os.environ.get("LANSPREAD_FULL") == "1" else 2


class Node:
    """A file (data), a folder (children) or a symlink (text)."""

    def __init__(self, kind):
        self.kind, self.data, self.children = kind, b"", {}
        self.text, self.mode, self.mtime = "", 0o644, None

    @staticmethod
    def load(path):
        if path.is_symlink():
            node = Node("link")
            node.text = os.readlink(path)
        elif path.is_dir():
            node = Node("folder")
            node.children = {p.name: Node.load(p) for p in path.iterdir()}
        else:
            node = Node("file")
            node.data = path.read_bytes()
            node.mode = path.stat().st_mode & 0o777
            node.mtime = path.stat().st_mtime_ns
        return node

    def store(self, path):
        if self.kind == "link":
            os.symlink(self.text, path)
        elif self.kind == "folder":
            path.mkdir()
            for name, child in self.children.items():
                child.store(path / name)
        else:
            path.write_bytes(self.data)
            path.chmod(self.mode)
            if self.mtime is not None:
                os.utime(path, ns=(self.mtime, self.mtime))

    def key(self):
        if self.kind == "folder":
            return ("folder", tuple(sorted((n, c.key()) for n, c in self.children.items())))
        return (self.kind, self.data, self.text, self.mode if self.kind == "file" else 0)


class Impossible(Exception):
    """No filesystem would be in this state."""


def find(root, path):
    node = root
    for name in path:
        if node.kind != "folder" or name not in node.children:
            raise Impossible
        node = node.children[name]
    return node


def parent(root, path):
    node = find(root, path[:-1])
    if node.kind != "folder":
        raise Impossible
    return node.children


def remember(handles, operation, root):
    """The node that a descriptor stands for: names may be lost or change, it stays."""
    handles[operation["path"]] = find(root, operation["path"])


def apply(root, operation):
    call, path = operation["call"], operation["path"]
    if call == "open":
        names = parent(root, path)
        if path[-1] not in names:
            names[path[-1]] = Node("file")
            names[path[-1]].mode = operation["mode"]
        names[path[-1]].data = names[path[-1]].data[:operation["size"]]
    elif call == "write":
        node = find(root, path)
        end = operation["offset"] + len(operation["data"])
        data = bytearray(node.data.ljust(end, b"\0"))
        data[operation["offset"]:end] = operation["data"]
        node.data = bytes(data)
    elif call == "truncate":
        node = find(root, path)
        node.data = node.data[:operation["offset"]].ljust(operation["offset"], b"\0")
    elif call == "chmod":
        find(root, path).mode = operation["offset"] & 0o777
    elif call == "times":
        find(root, path).mtime = operation["offset"]
    elif call == "mkdir":
        parent(root, path)[path[-1]] = Node("folder")
    elif call == "symlink":
        node = Node("link")
        node.text = operation["text"]
        parent(root, path)[path[-1]] = node
    elif call in ("unlink", "rmdir"):
        names = parent(root, path)
        if path[-1] not in names or names[path[-1]].children:
            raise Impossible
        del names[path[-1]]
    elif call == "rename":
        source, target = parent(root, path), parent(root, operation["target"])
        there = target.get(operation["target"][-1])
        if path[-1] not in source or (there and there.kind == "folder" and there.children):
            raise Impossible
        target[operation["target"][-1]] = source.pop(path[-1])
    elif call not in ("sync", "sync_all"):
        raise AssertionError(f"the model does not know {call}")


def durable(operations, upto):
    """Which of the first `upto` operations are surely on the disk: their indexes."""
    sure = set()
    for index in range(upto):
        call, path = operations[index]["call"], operations[index]["path"]
        if call == "sync_all":
            sure.update(range(index + 1))
        elif call == "sync":
            sure.add(index)
            for earlier in range(index):
                other = operations[earlier]
                half = other.setdefault("synced", set())
                if other["call"] in ("write", "truncate", "chmod", "times"):
                    if other["node"] == operations[index]["node"]:
                        sure.add(earlier)
                    continue
                half |= {p for p in other["folders"] if p == operations[index]["node"]}
                if half >= set(other["folders"]):
                    sure.add(earlier)
    for operation in operations:
        operation.pop("synced", None)
    return sure


def identify(root, operations):
    """Gives each operation the identity of the file or folders it is about, as names change."""
    root = copy.deepcopy(root)
    for operation in operations:
        path = operation["path"]
        if operation["call"] in ("sync", "write", "truncate", "chmod", "times"):
            operation["node"] = id(find(root, path))
            operation["folders"] = []
        elif operation["call"] != "sync_all":
            operation["folders"] = [id(find(root, path[:-1]))]
            if "target" in operation:
                operation["folders"].append(id(find(root, operation["target"][:-1])))
        if operation["call"] == "open" and path[-1] in parent(root, path):
            operation["folders"] = [id(find(root, path[:-1]))]
        apply(root, operation)
        operation["keep"] = root  # identities live as long as their objects
    return root


def read_log(log, game):
    operations = []
    for line in open(log):
        operation = json.loads(line)
        for key in ("path", "target"):
            if key in operation:
                relative = os.path.relpath(os.path.normpath(operation[key]), game)
                operation[key] = [] if relative == "." else relative.split("/")
        operation["data"] = bytes.fromhex(operation["data"])
        operations.append(operation)
    return operations


def state_key(root):
    """States that recovery cannot tell apart are one: without an intent, what is staged is trash."""
    visible = {n: c.key() for n, c in root.children.items() if n != ".lanspread"}
    private = root.children.get(".lanspread")
    inside = {}
    if private:
        inside = {n: c.key() for n, c in private.children.items()}
        if "intent" not in inside:
            for name in ("install", "old", ".intent.tmp"):
                inside.pop(name, None)
    return (tuple(sorted(visible.items())), tuple(sorted(inside.items())))


def states(before, operations, lost_max, seen):
    """Every legal state that is not in `seen`, once."""
    for upto in range(len(operations) + 1):
        sure = durable(operations, upto)
        unsure = [i for i in range(upto) if i not in sure and
                  operations[i]["call"] not in ("sync", "sync_all")]
        for count in range(lost_max + 1):
            for lost in itertools.combinations(unsure, count):
                root = copy.deepcopy(before)
                try:
                    for index in range(upto):
                        if index in lost:
                            if operations[index]["call"] == "write":
                                zeros = dict(operations[index])
                                zeros["data"] = bytes(len(zeros["data"]))
                                apply(root, zeros)
                            continue
                        apply(root, operations[index])
                except Impossible:
                    continue
                key = hash(state_key(root))
                if key not in seen:
                    seen.add(key)
                    yield root, upto, lost


def end_of_preparation(operations):
    """The sync of everything before the intent. Up to there no intent can be on the disk, so whatever
    is lost of what was staged, recovery drops all of it: one lost operation at each point says as
    much as three, of a window that is a hundred operations long."""
    intent = next(i for i, o in enumerate(operations)
                  if o["call"] == "rename" and o["target"][-1:] == ["intent"])
    sync = max(i for i in range(intent) if operations[i]["call"] == "sync_all")
    return sync


def run(folder, operation):
    base = Path(folder) / operation
    SCENARIOS[operation](DRIVER, base / "template")
    old = snapshot(base / "template")
    before = Node.load(base / "template")
    before.store(base / "done")
    log = base / "log"
    subprocess.run([DRIVER, operation, str(base / "done")], check=True,
                   env={**os.environ, "LANSPREAD_OPERATION_LOG": str(log)})
    new = snapshot(base / "done")
    operations = read_log(log, base / "done")
    identify(before, operations)
    prepared = end_of_preparation(operations)
    after = copy.deepcopy(before)
    for done in operations[:prepared + 1]:
        apply(after, done)
    seen = set()
    every = itertools.chain(states(before, operations[:prepared + 1], 1, seen),
                            states(after, operations[prepared + 1:], LOST_MAX, seen))
    trial = {"old": 0, "new": 0}
    for root, upto, lost in every:
        game = base / "game"
        root.store(game)
        drive(DRIVER, "recover", game)
        state = snapshot(game)
        where = f"{operation}, cut at {upto}, lost {lost}"
        if state not in (old, new):
            for other, name in ((old, "old"), (new, "new")):
                print(f"not {name}:", {k for k in set(state) | set(other)
                                       if state.get(k) != other.get(k)})
            raise AssertionError(where)
        if operation != "purge" and operation != "install":
            contents = [entry[1] for entry in state.values() if len(entry) == 2]
            assert all(text in contents for text in USER_TEXTS), where
        trial["old" if state == old else "new"] += 1
        subprocess.run(["rm", "-rf", game], check=True)
    print(f"{operation}: {sum(trial.values())} states of {len(operations)} operations, "
          f"{trial['old']} went back and {trial['new']} forward", flush=True)
    assert trial["old"] and trial["new"]
    return sum(trial.values())


def main():
    with tempfile.TemporaryDirectory(prefix="lanspread-power-") as folder:
        total = sum(run(folder, operation) for operation in SCENARIOS)
        print(f"{total} legal states after a power cut with up to {LOST_MAX} operations lost")


main()
