#!/usr/bin/python3
"""Install, update, uninstall and remove on real filesystems, and killed in between: ext4, xfs, btrfs
on loop devices; exFAT and NTFS through their FUSE drivers (no exchange of names, no hard links, no
inode numbers to rely on, coarse times, names without case).

usage: filesystems.py INSTALL-DRIVER. Needs root; exit status 77 (skipped) without it. What is not
there (a mkfs, a driver) is said and passed over; nothing at all tried is a skip.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "unit/install"))
from scenarios import SCENARIOS, USER_TEXTS, drive, snapshot  # noqa: E402

DRIVER = sys.argv[1]
MIB = 1 << 20

# name: mkfs command, mount command, size of the image in MiB
KINDS = {
    "ext4": (["mkfs.ext4", "-q", "-F"], ["mount", "-o", "loop"], 64),
    "xfs": (["mkfs.xfs", "-q", "-f"], ["mount", "-o", "loop"], 320),
    "btrfs": (["mkfs.btrfs", "-q", "-f"], ["mount", "-o", "loop"], 160),
    "exfat": (["mkfs.exfat"], ["mount.exfat-fuse"], 64),
    "ntfs": (["mkntfs", "-Q", "-F", "-q"], ["ntfs-3g"], 64),
}


def run(*argv):
    return subprocess.run(argv, check=False, capture_output=True, text=True)


class Disk:
    """An image with a filesystem of its own, mounted; `problem` says why not."""

    def __init__(self, folder, kind):
        make, mount, size = KINDS[kind]
        self.image, self.path = folder / f"{kind}.img", folder / kind
        self.problem = None
        self.mounted = False
        self.mount_command, self.device = mount, None
        for tool in (make[0], mount[0]):
            if not shutil.which(tool):
                self.problem = f"{tool} is not installed"
                return
        with open(self.image, "wb") as image:
            image.truncate(size * MIB)
        self.path.mkdir()
        made = run(*make, str(self.image))
        if kind == "exfat":  # its driver takes nothing but a block device
            found = run("losetup", "--find", "--show", str(self.image))
            self.device = found.stdout.strip() or None
        self.problem = made.stderr.strip() if made.returncode else self.mount()

    def mount(self):
        done = run(*self.mount_command, self.device or str(self.image), str(self.path))
        self.mounted = done.returncode == 0
        return None if self.mounted else done.stderr.strip() or "cannot be mounted here"

    def unmount(self):
        if self.mounted:
            run("umount", str(self.path))
            self.mounted = False

    def close(self):
        self.unmount()
        if self.device:
            run("losetup", "--detach", self.device)


def without_modes(state):
    """Filesystems without modes give every file the same; some have no links either."""
    return {name: entry[1:] if isinstance(entry[0], int) else entry
            for name, entry in state.items() if name != ".lanspread/installed"}


def make(operation, game, links):
    """As in the crash tests, but where links cannot be an archive without one is what there is."""
    if links:
        SCENARIOS[operation](DRIVER, game)
        return
    import scenarios
    whole = scenarios.archive
    scenarios.archive = lambda path, version: whole(path, version, link=False)
    try:
        SCENARIOS[operation](DRIVER, game)
    finally:
        scenarios.archive = whole


def can_link(folder):
    try:
        os.symlink("target", folder / "probe")
        os.unlink(folder / "probe")
        return True
    except OSError:
        return False


def kill_points(count):
    """Early, in the midst, late: the driver's hooks end it before call number N."""
    return sorted({1, count // 4, count // 2, 3 * count // 4, count - 4, count - 2, count})


def try_operation(disk, operation, links):
    root = disk.path / operation
    make(operation, root / "whole", links)
    old = without_modes(snapshot(root / "whole"))
    log = disk.path.parent / "log"
    subprocess.run([DRIVER, operation, str(root / "whole")], check=True,
                   env={**os.environ, "LANSPREAD_OPERATION_LOG": str(log)})
    new = without_modes(snapshot(root / "whole"))
    calls = len(open(log).readlines())
    assert old != new
    tried = 0
    for point in kill_points(calls):
        game = root / f"killed-{point}"
        make(operation, game, links)
        killed = subprocess.run([DRIVER, operation, str(game)], check=False,
                                env={**os.environ, "LANSPREAD_KILL_AT": str(point)})
        assert killed.returncode == -9, killed
        # The next start sees what the disk has, not what the cache had.
        disk.unmount()
        problem = disk.mount()
        assert not problem, problem
        drive(DRIVER, "recover", game)
        state = without_modes(snapshot(game))
        assert state in (old, new), f"{operation}, killed before call {point}: a mix: " + str(
            {k for k in set(state) | set(new) if state.get(k) != new.get(k)})
        if operation in ("update", "uninstall", "remove"):
            contents = [entry[-1] for entry in state.values()]
            assert all(text in contents for text in USER_TEXTS), (operation, point)
        drive(DRIVER, "check", game)
        tried += 1
    shutil.rmtree(root)
    return tried


def main():
    if os.geteuid() != 0:
        print("skipped: loop mounts need root")
        return 77
    tried = 0
    with tempfile.TemporaryDirectory(prefix="lanspread-disks-") as folder:
        for kind in KINDS:
            disk = Disk(Path(folder), kind)
            try:
                if disk.problem:
                    print(f"{kind}: passed over: {disk.problem.splitlines()[0]}", flush=True)
                    continue
                links = can_link(disk.path)
                points = sum(try_operation(disk, operation, links) for operation in SCENARIOS)
                print(f"{kind}: {len(SCENARIOS)} operations, {points} kills with a remount "
                      f"behind each{'' if links else ', no symlinks there'}", flush=True)
                tried += 1
            finally:
                disk.close()
    return 0 if tried else 77


sys.exit(main())
