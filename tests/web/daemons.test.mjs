// The page against real daemons: two that have a game, and the one whose page it is.
import assert from "node:assert/strict";
import { test } from "node:test";
import { bytes, Daemon, isThere } from "./lib/daemon.mjs";
import { card, keep, live, mainButton, open, until } from "./lib/suite.mjs";

const SIZE = 24 << 20;
const options = { skip: isThere ? false : "there is no lanspread in this build", timeout: 170_000 };

async function threeWith(data) {
  const ann = keep(new Daemon("ann"));
  const ben = keep(new Daemon("ben"));
  const me = keep(new Daemon("me"));
  for (const peer of [ann, ben]) peer.add("quake", "20240131", data);
  await ann.start();
  await ben.start(ann);
  await me.start(ann, ben);
  const page = await open(me.url);
  page.setDefaultTimeout(60_000);
  await mainButton(page, "quake").getByText("Get").waitFor();
  await card(page, "quake").getByText("2 sources").waitFor();
  return { ann, ben, me, page };
}

const state = (page, operation, availability) =>
  page
    .locator(`.card[data-game="quake"][data-operation="${operation}"]${availability ? `[data-availability="${availability}"]` : ""}`)
    .waitFor({ state: "attached" });

async function menu(page, item, confirm) {
  await card(page, "quake").locator(".cover").click();
  await page.getByRole("button", { name: "More for quake" }).click();
  await page.getByRole("menuitem", { name: item, exact: true }).click();
  await page.getByRole("dialog").last().getByRole("button", { name: confirm, exact: true }).click();
  await page.keyboard.press("Escape");
}

test("get, progress, reload, install, play button, update, uninstall of a real game", options, async () => {
  const { ann, me, page } = await threeWith(bytes(SIZE));
  me.limit("4M");
  await mainButton(page, "quake").click();
  await state(page, "downloading");
  await card(page, "quake").getByText(/\d+ % · .*B\/s/).waitFor();
  await page.reload();
  await state(page, "downloading");
  me.limit("0");
  await state(page, "none", "downloaded");
  await mainButton(page, "quake").getByText("Install").click();
  await state(page, "none", "installed");
  await mainButton(page, "quake").getByText("Play").waitFor();
  assert.ok(me.has("quake", "local", "data.bin"));
  const old = me.game("quake").content;
  ann.add("quake", "20250101", bytes(SIZE));
  await until(() => {
    const { operation, content } = ann.game("quake");
    return operation === "none" && content && content !== old;
  }, "the new version is hashed");
  await mainButton(page, "quake").getByText("Update").click();
  await mainButton(page, "quake").getByText("Play").waitFor();
  await menu(page, "Uninstall", "Uninstall");
  await state(page, "none", "downloaded");
  assert.ok(!me.has("quake", "local", "data.bin"));
});

test("a cancelled download of a real game is over, and goes on when asked again", options, async () => {
  const { me, page } = await threeWith(bytes(SIZE));
  me.limit("4M");
  await mainButton(page, "quake").click();
  await card(page, "quake").getByText(/[1-9]\d* % · .*B\/s/).waitFor();
  await mainButton(page, "quake").getByText("Cancel").click();
  await state(page, "none");
  await mainButton(page, "quake").getByText("Get").waitFor();
  me.limit("0");
  await mainButton(page, "quake").click();
  await state(page, "none", "downloaded");
});

test("all peers gone and back: it waits, says so, and goes on by itself", options, async () => {
  const { ann, ben, me, page } = await threeWith(bytes(SIZE));
  me.limit("3M");
  await mainButton(page, "quake").click();
  await card(page, "quake").getByText(/[1-9]\d* % · .*B\/s/).waitFor();
  await ann.kill();
  await ben.kill();
  await card(page, "quake").getByText("Waiting for somebody who has it").waitFor();
  me.limit("0");
  await ann.start();
  await state(page, "none", "downloaded");
});

test("the daemon is killed and restarted under the page: the download is there again", options, async () => {
  const { me, page } = await threeWith(bytes(SIZE));
  me.limit("3M");
  await mainButton(page, "quake").click();
  await card(page, "quake").getByText(/[1-9]\d* % · .*B\/s/).waitFor();
  await me.kill();
  await page.locator(".banner.lost").waitFor();
  await me.start();
  await live(page);
  await page.locator(".banner.lost").waitFor({ state: "detached" });
  await state(page, "downloading");
  await mainButton(page, "quake").getByText("Cancel").click();
  await state(page, "none");
});
