// The torrent engine's view against two real engines.
import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import path from "node:path";
import { test } from "node:test";
import { bytes, Daemon, options } from "./lib/daemon.mjs";
import { keep, open, until } from "./lib/suite.mjs";

/** Ann seeds a game as a torrent; my engine is off. Gives what sharing said, too. */
async function annSeeds(size) {
  const ann = keep(new Daemon("ann", { arguments: ["--swarm", "lan"] }));
  const me = keep(new Daemon("me"));
  me.env = { XDG_DOWNLOAD_DIR: path.join(me.folder, "downloads") };
  ann.add("quake", "1.0", bytes(size));
  await ann.start();
  await me.start(ann);
  await until(() => ann.game("quake")?.content, "the game is hashed");
  const engine = await (await ann.fetch("/api/status")).json();
  if (!engine.torrent) return null; // built without libtorrent
  let shared;
  await until(async () => {
    shared = await (await ann.fetch("/api/games/quake/share", { method: "POST", body: {} })).json();
    return shared.content; // an engine that has just started may refuse it
  }, "the game is shared by BitTorrent");
  const page = await open(me.url, { permissions: ["clipboard-read", "clipboard-write"] });
  page.setDefaultTimeout(60_000);
  await page.locator(".who.live").getByText("1 peer").waitFor();
  await page.getByRole("navigation").getByRole("link", { name: "Torrents" }).click();
  return { ann, me, page, shared };
}

const row = (page, state) => page.locator(`.torrent${state ? `[data-state="${state}"]` : ""}`);

async function choose(page, item) {
  await row(page).getByRole("button", { name: "More for quake" }).click();
  await page.getByRole("menuitem", { name: item, exact: true }).click();
}

test("the engine is turned on; a torrent is added, limited, paused, looked into and removed", options, async (context) => {
  const party = await annSeeds(12 << 20);
  if (!party) return context.skip("this build has no libtorrent");
  const { me, page, shared } = party;
  await page.getByText("The torrent engine is not running").waitFor();
  await page.getByRole("button", { name: "Turn on for the LAN" }).click();
  await page.getByText("No torrents").waitFor();
  await me.fetch("/api/torrent-engine/limits", { method: "PUT", body: { max_download: 1_000_000 } });

  await page.getByLabel("Magnet link").fill(shared.magnet);
  await page.getByRole("button", { name: "Add", exact: true }).click();
  await row(page, "downloading").getByText(/[1-9]\d*\s%.*↓.*B\/s/).waitFor();
  await page.getByText(/LAN · listens on port \d+/).waitFor();
  await choose(page, "Pause");
  await row(page, "paused").waitFor();
  await choose(page, "Copy the magnet link");
  await page.locator(".toast").getByText("is copied").waitFor();
  assert.equal(await page.evaluate(() => navigator.clipboard.readText()), shared.magnet);

  // Its inside: files and which are wanted, trackers, limits.
  await row(page).getByRole("button", { name: "Details" }).click();
  const dialog = page.getByRole("dialog", { name: "quake" });
  const startFile = dialog.getByRole("checkbox", { name: "start.sh" });
  await startFile.click();
  await until(async () => {
    const { files } = await (await me.fetch(`/api/torrents/${shared.id}/files`)).json();
    return files.find((file) => file.path === "start.sh").priority === "skip";
  }, "the file is not wanted");
  await startFile.click();
  await dialog.getByText("It has no tracker").waitFor();
  await dialog.getByLabel("Address of a tracker").fill("http://127.0.0.1:9/announce");
  await dialog.getByRole("button", { name: "Add", exact: true }).click();
  await dialog.getByRole("button", { name: "Remove http://127.0.0.1:9/announce" }).click();
  await dialog.getByText("It has no tracker").waitFor();
  const limit = dialog.getByLabel("Download limit");
  await limit.fill("2 M");
  await limit.press("Enter");
  const mine = async () => (await (await me.fetch(`/api/torrents/${shared.id}`)).json()).torrents[0];
  await until(async () => (await mine()).max_download === 2_000_000, "its own limit");
  await page.keyboard.press("Escape");

  // It lasts until ann was seen among its peers.
  await me.fetch("/api/torrent-engine/limits", { method: "PUT", body: { max_download: 50_000 } });
  await choose(page, "Resume");
  await row(page, "downloading").getByRole("button", { name: "Details" }).click();
  await dialog.getByText(/127\.0\.0\.1:\d+/).first().waitFor();
  await me.fetch("/api/torrent-engine/limits", { method: "PUT", body: { max_download: 0 } });
  await page.keyboard.press("Escape");
  await row(page, "seeding").waitFor();
  assert.ok(existsSync(path.join(me.env.XDG_DOWNLOAD_DIR, "quake/data.bin")));

  await choose(page, "Remove");
  await page.getByLabel("Delete its files too").check();
  await page.getByRole("dialog").getByRole("button", { name: "Remove", exact: true }).click();
  await page.getByText("No torrents").waitFor();
  await until(() => !existsSync(path.join(me.env.XDG_DOWNLOAD_DIR, "quake/data.bin")), "its files are gone");
});

test("a torrent file becomes a game of the shelf; what is no torrent is refused in words", options, async (context) => {
  const party = await annSeeds(4 << 20);
  if (!party) return context.skip("this build has no libtorrent");
  const { me, page, shared } = party;
  await page.getByRole("button", { name: "Turn on for the LAN" }).click();
  await page.getByText("No torrents").waitFor();
  const picker = page.locator("input[type=file]");
  await picker.setInputFiles({ name: "x.torrent", mimeType: "application/x-bittorrent", buffer: Buffer.from("no torrent") });
  await page.locator(".toast.bad").getByText("That did not work").waitFor();
  await page.getByLabel("Put it on the shelf as a game").check();
  await picker.setInputFiles(shared.torrent);
  await until(() => me.game("quake")?.availability === "downloaded", "the game is here");
  assert.equal(me.game("quake").content, shared.content);
  await page.getByRole("navigation").getByRole("link", { name: "Shelf" }).click();
  await page.locator('.card[data-game="quake"][data-availability="downloaded"]').waitFor();
});

test("a download is moved to the torrent engine and back", options, async (context) => {
  const party = await annSeeds(24 << 20);
  if (!party) return context.skip("this build has no libtorrent");
  const { me, page, shared } = party;
  await page.getByRole("button", { name: "Turn on for the LAN" }).click();
  await page.getByText("No torrents").waitFor();
  await me.fetch("/api/limits", { method: "PUT", body: { down: 1_000_000 } });
  await page.getByRole("navigation").getByRole("link", { name: "Shelf" }).click();
  const quake = page.locator('.card[data-game="quake"]');
  const menu = async (item) => {
    await quake.getByRole("button", { name: "More for quake" }).click();
    await page.getByRole("menuitem", { name: item, exact: true }).click();
  };
  const engine = (name) => until(() => me.game("quake")?.progress?.engine === name, `the engine is ${name}`);
  await quake.getByRole("button", { name: "Get: quake" }).click();
  await quake.locator(".numbers").getByText(/[1-9]\d*\s%/).waitFor();
  await engine("lan");
  await menu("Fetch by BitTorrent");
  await engine("swarm");
  await quake.locator(".numbers").getByText("BitTorrent").waitFor();
  await menu("Fetch from the LAN");
  await engine("lan");
  await quake.locator(".numbers").getByText("BitTorrent").waitFor({ state: "detached" });
  await me.fetch("/api/limits", { method: "PUT", body: { down: 0 } });
  await until(() => me.game("quake")?.availability === "downloaded", "the game is here");
  assert.equal(me.game("quake").content, shared.content);
});
