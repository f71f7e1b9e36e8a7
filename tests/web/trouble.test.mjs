// What goes wrong for real: reloads and cuts in the middle, a socket that fails, a full disk, hostile names.
import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import { mkdirSync } from "node:fs";
import path from "node:path";
import { test } from "node:test";
import { breakUdp, bytes, choose, Daemon, options, SlowDisk, state, threeWith } from "./lib/daemon.mjs";
import { Proxy } from "./lib/proxy.mjs";
import { isSubsequence, numbers, record } from "./lib/record.mjs";
import { card, keep, live, mainButton, open, shown, until } from "./lib/suite.mjs";

test("a reload in the middle of each operation of a real daemon finds it as it was", options, async () => {
  const disk = keep(new SlowDisk());
  const { ann, me, page } = await threeWith(bytes(2 << 20), { mine: { env: disk.env } });
  /** Starts something, reloads while the disk stands still, and lets it end. */
  const reloadIn = async (operation, held, start, availability) => {
    disk.halt(held);
    await start();
    await state(page, operation);
    await page.reload();
    await state(page, operation);
    await live(page);
    assert.equal((await shown(page, "quake")).operation, operation);
    disk.release(held);
    await state(page, "none", availability);
  };
  const press = (label) => () => mainButton(page, "quake").getByText(label).click();
  await reloadIn("downloading", "rename", press("Get"), "downloaded");
  await reloadIn("installing", "rename", press("Install"), "installed");
  await reloadIn("verifying", "read", () => choose(page, "Check the files"), "installed");
  ann.add("quake", "20250101", bytes(2 << 20));
  await reloadIn("updating", "rename", press("Update"), "installed");
  await reloadIn("uninstalling", "rename", () => choose(page, "Uninstall", "Uninstall"), "downloaded");
  await reloadIn("removing", "rename", () => choose(page, "Delete the download", "Delete the download"), "remote");
  disk.halt("read");
  me.add("doom", "1.0", bytes(1 << 20));
  const hashing = page.locator('.card[data-game="doom"][data-operation="hashing"]');
  await hashing.waitFor();
  await page.reload();
  await hashing.waitFor();
  disk.release("read");
  await page.locator('.card[data-game="doom"][data-operation="none"][data-availability="downloaded"]').waitFor();
});

/** What a daemon's events say that a game's card may show, in their order. */
function statesOf(events, id) {
  const states = ["none/remote"];
  const add = (state) => {
    if (states.at(-1) !== state) states.push(state);
  };
  for (const event of events) {
    const game = (event.games ?? []).find((item) => item.id === id);
    if (event.event === "local_games_updated") {
      const running = event.operations.find((item) => item.game === id);
      const operation = running?.operation ?? (game?.operation === "hashing" ? "hashing" : "none");
      add(`${operation}/${game?.availability ?? "remote"}`);
    }
  }
  return states;
}

test("the stream of a real daemon is cut 20 times at random: nothing that was not so is shown", options, async () => {
  const { me, page, proxy } = await threeWith(bytes(1 << 20), { proxy: Proxy });
  const events = await me.watch();
  await record(page, "quake");
  const random = numbers(20240131);
  const steps = ["download", "install", "uninstall", "remove"];
  let step = 0;
  for (let cut = 0; cut < 20; cut++) {
    const action = steps[step++ % steps.length];
    const reply =
      action === "remove"
        ? await me.fetch("/api/games/quake", { method: "DELETE" })
        : await me.fetch(`/api/games/quake/${action}`, { method: "POST", body: {} });
    assert.equal(reply.status, 200, await reply.text());
    // Somewhere within what the operation says: after so many more of its events.
    const goal = events.length + random(5);
    await until(() => events.length >= goal || me.game("quake").operation === "none", "some events");
    proxy.cut();
    await until(() => me.game("quake").operation === "none", `the end of ${action}`);
    await live(page);
    const { operation, availability } = me.game("quake");
    await until(async () => {
      const is = await shown(page, "quake");
      return is.operation === operation && is.availability === availability;
    }, `the truth after cut ${cut + 1}: ${operation}/${availability}`);
  }
  const seen = await page.evaluate(() => window.seen);
  const happened = statesOf(events, "quake");
  assert.ok(happened.length > 20, `${happened}`);
  assert.ok(isSubsequence(seen, happened), `seen ${seen}\nhappened ${happened}`);
});

test("QUIC fails: the page says so in words, then reconnects", options, async (context) => {
  const { me, page } = await threeWith(bytes(1 << 20));
  if (!breakUdp(me)) return context.skip("sockets of other processes cannot be reached here");
  await page.locator(".banner.bad").getByText("lanspread has stopped: its part “Connections to others” failed.").waitFor();
  await page.locator(".banner.bad").getByText("comes back by itself").waitFor();
  await page.locator(".banner.lost").getByText("Reconnecting").waitFor();
  assert.equal(await me.ended(), 1);
  await me.start();
  await live(page);
  await page.locator(".banner.bad").waitFor({ state: "detached" });
  await page.locator(".banner.lost").waitFor({ state: "detached" });
  await card(page, "quake").getByText("2 sources").waitFor();
});

test("a full disk is told in words, and after room was made it goes on", options, async (context) => {
  const ann = keep(new Daemon("ann"));
  const me = keep(new Daemon("me"));
  const folder = path.join(me.folder, "small");
  mkdirSync(folder);
  const mount = (...words) => spawnSync("mount", words).status === 0;
  if (!mount("-t", "tmpfs", "-o", "size=8m", "tmpfs", folder)) return context.skip("mounting needs root");
  keep({ stop: () => execFileSync("umount", ["-l", folder]) });
  me.games = path.join(folder, "games");
  mkdirSync(me.games);
  ann.add("quake", "20240131", bytes(12 << 20));
  await ann.start();
  await me.start(ann);
  const page = await open(me.url);
  await card(page, "quake").getByText("1 source").waitFor();
  await mainButton(page, "quake").click();
  await page.locator(".toast.bad").getByText("quake could not be downloaded").waitFor();
  await state(page, "none", "remote");
  await card(page, "quake").locator(".cover").click();
  const alert = page.getByRole("alert");
  await alert.getByText("The disk is full. Free some space, then try again").waitFor();
  assert.ok(mount("-o", "remount,size=64m", folder));
  await alert.getByRole("button", { name: "Try again" }).click();
  await state(page, "none", "downloaded");
});

test("a hostile name from another peer stays text, everywhere it is shown", options, async () => {
  const title = `<img src=x onerror="window.hacked=1"><script>window.hacked=1</script>`;
  const ann = keep(new Daemon(`<b onclick="window.hacked=1">ann</b>`.replace(/[/]/g, "")));
  const me = keep(new Daemon("me"));
  await ann.start();
  await me.start(ann);
  const source = path.join(ann.folder, "source");
  mkdirSync(source);
  execFileSync("sh", ["-c", `head -c 3000000 /dev/urandom > ${source}/data`]);
  ann.cli("add", source, "--id", "quake", "--title", title, "--version", "1.0");
  const page = await open(me.url);
  await card(page, "quake").locator("h3").getByText(title, { exact: true }).waitFor();
  await card(page, "quake").getByText("1 source").waitFor();
  await mainButton(page, "quake").click();
  await page.locator(".toast.good").getByText(title).waitFor();
  await card(page, "quake").locator(".cover").click();
  await page.getByRole("dialog").locator(".holders").getByText(ann.name).waitFor();
  await page.keyboard.press("Escape");
  await page.getByRole("navigation").getByRole("link", { name: "Party" }).click();
  await page.locator("table.peers").getByText(ann.name).waitFor();
  assert.equal(await page.evaluate(() => window.hacked), undefined);
  assert.equal(await page.locator("img[src=x], b[onclick]").count(), 0);
});
