#!/usr/bin/env python3
"""Builds the page and turns its files into one C source (src/http/assets.h has the table's shape).

Without node, or where its packages cannot be had, the table has one small page instead, which says
what is missing; --need makes that an error. A build of the same sources is kept in the user's cache,
so that a fresh build folder does not build the page again.
"""
import argparse
import hashlib
import html
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

TYPES = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".svg": "image/svg+xml",
    ".webmanifest": "application/manifest+json",
    ".json": "application/json",
    ".woff2": "font/woff2",
    ".png": "image/png",
}

MISSING = """<!doctype html>
<html lang="en"><meta charset="utf-8"><title>lanspread</title>
<meta name="viewport" content="width=device-width">
<h1>lanspread is running, its page was not built</h1>
<p>{reason}</p>
<p>Install <code>nodejs</code> (18 or newer) and <code>npm</code> and build again; the option
<code>-Dweb=enabled</code> says why where that fails. Until then the command line does everything:
<code>lanspread games</code>, <code>lanspread get ID</code>, <code>lanspread --help</code>.
The HTTP API under <code>/api</code> is served all the same.</p>
</html>
"""


class Missing(Exception):
    """Why the page cannot be built here."""


def inputs(source):
    """The files that a build depends on, in a fixed order."""
    names = ["package.json", "package-lock.json", ".npmrc", "tsconfig.json", "vite.config.ts",
             "index.html", "build.py"]
    files = [source / name for name in names]
    for folder in ("src", "public"):
        files += sorted(path for path in (source / folder).rglob("*") if path.is_file())
    return [path for path in files if path.is_file()]


def digest(source, files):
    state = hashlib.sha256()
    for path in files:
        state.update(str(path.relative_to(source)).encode() + b"\0")
        state.update(path.read_bytes() + b"\0")
    return state.hexdigest()


def run(command, folder):
    result = subprocess.run(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                            text=True, errors="replace", check=False)
    if result.returncode != 0:
        tail = "\n".join(result.stdout.strip().splitlines()[-30:])
        print(tail, file=sys.stderr)
        raise Missing(f"\"{' '.join(command)}\" failed when the page was built.")


def find_node():
    node, npm = shutil.which("node"), shutil.which("npm")
    if not node or not npm:
        raise Missing("This build found no node with npm.")
    version = subprocess.run([node, "--version"], stdout=subprocess.PIPE, text=True, check=False)
    try:
        major = int(version.stdout.strip().lstrip("v").split(".")[0])
    except ValueError as error:
        raise Missing("This build's node did not tell its version.") from error
    if major < 18:
        raise Missing(f"The page needs node 18, this build found {major}.")
    return node, npm


def build(source, files, folder):
    """Copies the sources aside, so that builds never meet, and builds them there."""
    node, npm = find_node()
    for path in files:
        target = folder / path.relative_to(source)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, target)
    run([npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--prefer-offline"], folder)
    run([node, "node_modules/typescript/bin/tsc", "--noEmit"], folder)
    run([node, "node_modules/vite/bin/vite.js", "build", "--logLevel", "warn"], folder)
    dist = folder / "dist"
    return {str(path.relative_to(dist)): path.read_bytes()
            for path in sorted(dist.rglob("*")) if path.is_file()}


def c_source(assets):
    lines = ['#include "http/assets.h"', ""]
    rows = []
    for index, (name, data) in enumerate(sorted(assets.items())):
        kind = TYPES.get(pathlib.PurePath(name).suffix, "application/octet-stream")
        lines.append(f"static const unsigned char file_{index}[] = {{")
        for start in range(0, len(data), 24):
            lines.append(",".join(str(byte) for byte in data[start:start + 24]) + ",")
        lines.append("0};")
        hashed = "true" if name.startswith("assets/") else "false"
        rows.append(f'\t{{"{name}", "{kind}", file_{index}, {len(data)}, {hashed}}},')
    lines += ["", "const struct lsp_http_asset lsp_http_assets[] = {", *rows,
              "\t{0, 0, 0, 0, false},", "};", ""]
    return "\n".join(lines)


def cache_folder():
    root = os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache"
    return pathlib.Path(root) / "lanspread-page"


def make(source, files):
    kept = cache_folder() / f"{digest(source, files)}.c"
    if kept.is_file():
        return kept.read_text()
    with tempfile.TemporaryDirectory(prefix="lanspread-page-") as folder:
        text = c_source(build(source, files, pathlib.Path(folder)))
    try:
        kept.parent.mkdir(parents=True, exist_ok=True)
        for old in sorted(kept.parent.glob("*.c"), key=os.path.getmtime)[:-4]:
            old.unlink(missing_ok=True)
        beside = kept.with_suffix(f".{os.getpid()}")
        beside.write_text(text)
        beside.replace(kept)
    except OSError as error:
        print(f"the page is not kept for later builds: {error}", file=sys.stderr)
    return text


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--source", type=pathlib.Path, required=True)
    parser.add_argument("--output", type=pathlib.Path, required=True)
    parser.add_argument("--depfile", type=pathlib.Path, required=True)
    choice = parser.add_mutually_exclusive_group()
    choice.add_argument("--need", action="store_true", help="fail where it cannot be built")
    choice.add_argument("--without", action="store_true", help="do not build it")
    options = parser.parse_args()
    files = inputs(options.source)
    try:
        if options.without:
            raise Missing("This build was told to leave the page out (-Dweb=disabled).")
        text = make(options.source, files)
    except Missing as reason:
        if options.need:
            sys.exit(f"the page could not be built: {reason}")
        print(f"the page is left out: {reason}", file=sys.stderr)
        text = c_source({"index.html": MISSING.format(reason=html.escape(str(reason))).encode()})
    options.output.write_text(text)
    escaped = " ".join(str(path).replace(" ", "\\ ") for path in files)
    options.depfile.write_text(f"{options.output.name}: {escaped}\n")


if __name__ == "__main__":
    main()
