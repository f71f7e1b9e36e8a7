// A real daemon on loopback, with folders of its own, that can be killed and started again in place.
import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdirSync, mkdtempSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { randomBytes } from "node:crypto";
import { tmpdir } from "node:os";
import path from "node:path";
import readline from "node:readline";
import { build } from "./paths.mjs";

export const binary = path.join(build, "app/lanspread");
export const isThere = existsSync(binary);

export class Daemon {
  constructor(name) {
    this.name = name;
    this.folder = mkdtempSync(path.join(tmpdir(), `lanspread-${name}-`));
    this.games = path.join(this.folder, "games");
    mkdirSync(this.games);
    this.udp = "127.0.0.1:0";
    this.http = "127.0.0.1:0";
  }

  /** A game of plain files; the same seed is the same content. */
  add(id, version, data) {
    const folder = path.join(this.games, id);
    mkdirSync(folder, { recursive: true });
    const files = { "data.bin": data, "start.sh": "#!/bin/sh\nexit 0\n", "version.ini": `${version}\n` };
    for (const [name, content] of Object.entries(files)) {
      const beside = path.join(this.folder, name);
      writeFileSync(beside, content, { mode: name.endsWith(".sh") ? 0o755 : 0o644 });
      renameSync(beside, path.join(folder, name));
    }
  }

  async start(...peers) {
    this.peers = peers.length ? peers : (this.peers ?? []);
    const words = ["run", "--games", this.games, "--state", path.join(this.folder, "state")];
    words.push("--name", this.name, "--listen", this.udp, "--http", this.http, "--no-discovery");
    words.push("--control", path.join(this.folder, "control"), "--log-level", "error");
    for (const peer of this.peers) words.push("--peer", peer.udp.replace("0.0.0.0", "127.0.0.1"));
    this.child = spawn(binary, words, { stdio: ["ignore", "pipe", "inherit"] });
    const [line] = await once(readline.createInterface({ input: this.child.stdout }), "line");
    const [, port] = / at \S+:(\d+)/.exec(line);
    [this.url] = /http:\/\/\S+?(?=;|$)/.exec(line);
    this.udp = `127.0.0.1:${port}`;
    this.http = new URL(this.url).host;
    return this;
  }

  async kill() {
    if (this.child.exitCode !== null || this.child.signalCode !== null) return;
    const end = once(this.child, "exit");
    this.child.kill("SIGKILL");
    await end;
  }

  async stop() {
    await this.kill();
    rmSync(this.folder, { recursive: true, force: true });
  }

  /** What the daemon itself says of a game. */
  game(id) {
    const words = ["games", "--json", "--control", path.join(this.folder, "control")];
    const { games } = JSON.parse(execFileSync(binary, words, { encoding: "utf8" }));
    return games.find((game) => game.id === id);
  }

  limit(down) {
    execFileSync(binary, ["limits", "--down", String(down), "--control", path.join(this.folder, "control")]);
  }

  has(...names) {
    return existsSync(path.join(this.games, ...names));
  }
}

export const bytes = (count) => randomBytes(count);
