// Real daemons on loopback, with folders of their own, that can be killed and started again in place.
import { execFileSync, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdirSync, mkdtempSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { randomBytes } from "node:crypto";
import { tmpdir } from "node:os";
import path from "node:path";
import readline from "node:readline";
import { build, here } from "./paths.mjs";
import { card, keep, mainButton, open } from "./suite.mjs";

export const binary = path.join(build, "app/lanspread");
export const isThere = existsSync(binary);
export const options = { skip: isThere ? false : "there is no lanspread in this build", timeout: 170_000 };

export const bytes = (count) => randomBytes(count);

export class Daemon {
  constructor(name, { arguments: more = [], env = {} } = {}) {
    this.name = name;
    this.folder = mkdtempSync(path.join(tmpdir(), "lanspread-daemon-"));
    this.games = path.join(this.folder, "games");
    mkdirSync(this.games);
    this.udp = "127.0.0.1:0";
    this.http = "127.0.0.1:0";
    this.more = more;
    this.env = env;
    this.watchers = [];
  }

  /** A game of plain files, all of them there at once; the same data is the same content. */
  add(id, version, data, files = {}) {
    const folder = path.join(this.games, id);
    const all = { "data.bin": data, "start.sh": "#!/bin/sh\nexit 0\n", ...files, "version.ini": `${version}\n` };
    mkdirSync(folder, { recursive: true });
    for (const [name, content] of Object.entries(all)) {
      const beside = path.join(this.folder, name);
      writeFileSync(beside, content, { mode: name.endsWith(".sh") ? 0o755 : 0o644 });
      renameSync(beside, path.join(folder, name));
    }
  }

  async start(...peers) {
    this.peers = peers.length ? peers : (this.peers ?? []);
    const words = ["run", "--games", this.games, "--state", path.join(this.folder, "state")];
    words.push("--name", this.name, "--listen", this.udp, "--http", this.http, "--no-discovery");
    words.push("--control", this.control, "--log-level", "error", ...this.more);
    for (const peer of this.peers) words.push("--peer", peer.udp.replace("0.0.0.0", "127.0.0.1"));
    const env = { ...process.env, ...this.env };
    this.child = spawn(binary, words, { stdio: ["ignore", "pipe", "pipe"], env });
    this.errors = "";
    this.child.stderr.on("data", (data) => (this.errors += data));
    this.child.stderr.pipe(process.stderr);
    const [line] = await once(readline.createInterface({ input: this.child.stdout }), "line");
    this.said = line;
    const [, port] = / at \S+:(\d+)/.exec(line);
    [this.url] = /http:\/\/\S+?(?=;|$)/.exec(line);
    this.udp = `127.0.0.1:${port}`;
    this.http = new URL(this.url).host;
    return this;
  }

  get control() {
    return path.join(this.folder, "control");
  }

  get pid() {
    return this.child.pid;
  }

  async ended() {
    if (this.child.exitCode === null && this.child.signalCode === null) await once(this.child, "exit");
    return this.child.exitCode;
  }

  async kill() {
    if (this.child.exitCode === null && this.child.signalCode === null) this.child.kill("SIGKILL");
    await this.ended();
  }

  async stop() {
    for (const watcher of this.watchers) watcher.kill();
    await this.kill();
    rmSync(this.folder, { recursive: true, force: true });
  }

  cli(...words) {
    return execFileSync(binary, [...words, "--control", this.control], { encoding: "utf8" });
  }

  /** What the daemon itself says of a game. */
  game(id) {
    return JSON.parse(this.cli("games", "--json")).games.find((game) => game.id === id);
  }

  /** Its events, as they come. */
  async watch() {
    const child = spawn(binary, ["watch", "--json", "--control", this.control], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    this.watchers.push(child);
    const events = [];
    const lines = readline.createInterface({ input: child.stdout });
    lines.on("line", (line) => events.push(JSON.parse(line)));
    await once(lines, "line");
    return events;
  }

  limit(down) {
    this.cli("limits", "--down", String(down));
  }

  has(...names) {
    return existsSync(path.join(this.games, ...names));
  }

  /** The API as a program uses it. */
  async fetch(route, { method = "GET", body, headers = {}, token = true } = {}) {
    const { origin, search } = new URL(this.url);
    const all = { ...headers };
    if (token) all["Authorization"] ??= `Bearer ${new URLSearchParams(search).get("token")}`;
    if (method !== "GET") all["Content-Type"] ??= "application/json";
    return fetch(`${origin}${route}`, {
      method,
      headers: all,
      ...(body !== undefined ? { body: typeof body === "string" ? body : JSON.stringify(body) } : {}),
    });
  }
}

/** Three of them: two have a game, and the one whose page it is. */
export async function threeWith(data, { mine = {}, proxy } = {}) {
  const ann = keep(new Daemon("ann"));
  const ben = keep(new Daemon("ben"));
  const me = keep(new Daemon("me", mine));
  for (const peer of [ann, ben]) peer.add("quake", "20240131", data);
  await ann.start();
  await ben.start(ann);
  await me.start(ann, ben);
  const between = proxy && keep(await proxy.start(me.url));
  const page = await open(between ? between.url : me.url);
  page.setDefaultTimeout(60_000);
  await mainButton(page, "quake").getByText("Get").waitFor();
  await card(page, "quake").getByText("2 sources").waitFor();
  return { ann, ben, me, page, proxy: between };
}

/** Waits until the card of "quake" shows this. */
export const state = (page, operation, availability) =>
  page
    .locator(
      `.card[data-game="quake"][data-operation="${operation}"]` +
        (availability ? `[data-availability="${availability}"]` : ""),
    )
    .waitFor({ state: "attached" });

/** An entry of the menu of the card of "quake", and the answer to what is asked then. */
export async function choose(page, item, confirm) {
  await card(page, "quake").getByRole("button", { name: "More for quake" }).click();
  await page.getByRole("menuitem", { name: item, exact: true }).click();
  if (confirm) await page.getByRole("dialog").getByRole("button", { name: confirm, exact: true }).click();
}

/** A disk whose renames, removals or reads can be stopped (slow_disk.c). */
export class SlowDisk {
  constructor() {
    this.folder = mkdtempSync(path.join(tmpdir(), "lanspread-slow-"));
    const library = path.join(this.folder, "slow_disk.so");
    const source = path.join(here, "lib/slow_disk.c");
    execFileSync(process.env.CC ?? "cc", ["-shared", "-fPIC", "-O1", "-o", library, source, "-ldl"]);
    this.env = { LD_PRELOAD: library, SLOW_DISK: this.folder };
  }

  halt(what) {
    writeFileSync(path.join(this.folder, what), "");
  }

  release(what) {
    rmSync(path.join(this.folder, what), { force: true });
  }

  stop() {
    rmSync(this.folder, { recursive: true, force: true });
  }
}

/** Its UDP sockets fail. False where this cannot be done (break_udp.py). */
export function breakUdp(daemon) {
  const words = [path.join(here, "lib/break_udp.py"), String(daemon.pid)];
  const result = spawnSync("python3", words, { encoding: "utf8" });
  if (result.status === 77) return false;
  if (result.status !== 0) throw new Error(`break_udp: ${result.stderr}`);
  return true;
}
