// The page's server over a fake peer (fake-server.c), driven by JSON lines.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import readline from "node:readline";
import { build } from "./paths.mjs";

export class Fake {
  static async start() {
    const fake = new Fake();
    const binary = path.join(build, "tests/unit/http/fake-server");
    fake.folder = mkdtempSync(path.join(tmpdir(), "lanspread-page-"));
    fake.child = spawn(binary, ["0", path.join(fake.folder, "token")], { stdio: ["pipe", "pipe", "inherit"] });
    fake.lines = readline.createInterface({ input: fake.child.stdout });
    fake.answers = [];
    fake.waiting = [];
    fake.lines.on("line", (line) => {
      const next = fake.waiting.shift();
      if (next) next(line);
      else fake.answers.push(line);
    });
    fake.url = await fake.line();
    return fake;
  }

  line() {
    const ready = this.answers.shift();
    return ready === undefined
      ? new Promise((resolve) => this.waiting.push(resolve))
      : Promise.resolve(ready);
  }

  async do(command) {
    this.child.stdin.write(`${JSON.stringify(command)}\n`);
    const answer = await this.line();
    if (answer !== "done") throw new Error(`fake-server: ${answer}`);
  }

  put(game) {
    return this.do({ put: game });
  }

  change(id, members) {
    return this.do({ change: id, with: members });
  }

  advance(bytes) {
    return this.do({ advance: bytes });
  }

  emit(event) {
    return this.do({ emit: event });
  }

  async stop() {
    if (this.child.exitCode !== null) return;
    const end = once(this.child, "exit");
    this.child.stdin.end();
    const [code] = await end;
    rmSync(this.folder, { recursive: true, force: true });
    if (code !== 0) throw new Error(`fake-server ended with ${code}`);
  }
}

export const game = (id, members = {}) => ({
  id,
  title: id,
  availability: "remote",
  latest_version: "20240131",
  size: 4_000_000_000,
  sources: 3,
  ...members,
});

/** A shelf as at a party: something in every state. */
export const party = [
  game("iron-harvest", { title: "Iron Meadow", availability: "installed", local_version: "20240131", genre: "Strategy", max_players: 6, release: "2020", publisher: "Kite Works" }),
  game("neon-drift", { title: "Neon Drift", genre: "Racing", max_players: 8, size: 1_800_000_000, release: "2022" }),
  game("crystal-siege", { title: "Crystal Siege", availability: "downloaded", local_version: "20240131", genre: "Strategy", max_players: 4 }),
  game("fragstorm", { title: "Fragstorm Arena", availability: "installed", local_version: "20230501", genre: "Shooter", max_players: 16, release: "1999" }),
  game("deep-colony", { title: "Deep Colony", sources: 1, genre: "Strategy", size: 12_400_000_000 }),
  game("solar-tactics", { title: "Solar Tactics: The Long Night", availability: "unavailable", latest_version: null, sources: 0, genre: "Strategy" }),
  game("pixel-brawl", { title: "Pixel Brawl", availability: "local_only", local_version: "1.4", latest_version: "1.4", sources: 0, genre: "Fighting", max_players: 4 }),
  game("turbo-empire", { title: "Turbo Empire", variants: 2, genre: "Strategy", max_players: 8 }),
  game("lost-protocol", { title: "Lost Protocol", genre: "Shooter", max_players: 32, sources: 5, size: 7_700_000_000 }),
  game("frozen-odyssey", { title: "Frozen Odyssey", genre: "Role-playing", max_players: 4, sources: 2 }),
  game("rogue-runner", { title: "Rogue Runner", genre: "Platformer", sources: 4, size: 350_000_000 }),
  game("golden-kingdom", { title: "Golden Kingdom", availability: "installed", local_version: "20240131", genre: "Strategy", max_players: 8 }),
  game("astral-legends", { title: "Astral Legends", genre: "Role-playing", max_players: 64, size: 38_000_000_000 }),
  game("mega-dungeon", { title: "Mega Dungeon", availability: "downloaded", local_version: "20240131", genre: "Role-playing", max_players: 4 }),
];

export const peers = [
  { id: "a1b2c3d4e5f60718", name: "Mara", address: "192.168.7.21:47777", connected: true, games: 41, sent: 12_400_000_000, received: 3_100_000_000, up_rate: 61_000_000, down_rate: 48_000_000, rtt_ms: 0.4 },
  { id: "99aa88bb77cc66dd", name: "Kaufmann-PC", address: "192.168.7.33:47777", connected: true, games: 120, sent: 800_000_000, received: 22_000_000_000, up_rate: 0, down_rate: 64_000_000, rtt_ms: 0.3 },
  { id: "0f1e2d3c4b5a6978", name: "théo", address: "192.168.7.40:51002", connected: false, games: 8, sent: 0, received: 0, rtt_ms: null },
];
