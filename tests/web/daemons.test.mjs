// The page against real daemons: two that have a game, and the one whose page it is.
import assert from "node:assert/strict";
import { test } from "node:test";
import { bytes, choose, options, state, threeWith } from "./lib/daemon.mjs";
import { card, live, mainButton, until } from "./lib/suite.mjs";

const SIZE = 24 << 20;

test("get, progress, reload, install, play button, update, uninstall of a real game", options, async () => {
  const { ann, me, page } = await threeWith(bytes(SIZE));
  me.limit("4M");
  await mainButton(page, "quake").click();
  await state(page, "downloading");
  await card(page, "quake").getByText(/\d+\s%\s·.*B\/s\s·.*\sleft\s·\s\d\ssource/).waitFor();
  await page.locator(".overall").getByText(/1 operation .*B\/s/).waitFor();
  await page.reload();
  await state(page, "downloading");
  me.limit("0");
  await state(page, "none", "downloaded");
  await mainButton(page, "quake").getByText("Install").click();
  await state(page, "none", "installed");
  await mainButton(page, "quake").getByText("Play").click();
  await page.locator(".toast").getByText("quake starts").waitFor();
  assert.ok(me.has("quake", "local", "data.bin"));
  const old = me.game("quake").content;
  ann.add("quake", "20250101", bytes(SIZE));
  await until(() => {
    const { operation, content } = ann.game("quake");
    return operation === "none" && content && content !== old;
  }, "the new version is hashed");
  await mainButton(page, "quake").getByText("Update").click();
  await mainButton(page, "quake").getByText("Play").waitFor();
  assert.equal(me.game("quake").local_version, "20250101");
  await choose(page, "Uninstall", "Uninstall");
  await state(page, "none", "downloaded");
  assert.ok(!me.has("quake", "local", "data.bin"));
});

test("a cancelled download of a real game is over, and goes on when asked again", options, async () => {
  const { me, page } = await threeWith(bytes(SIZE));
  me.limit("4M");
  await mainButton(page, "quake").click();
  await card(page, "quake").getByText(/[1-9]\d*\s%\s·.*B\/s/).waitFor();
  await mainButton(page, "quake").getByText("Cancel").click();
  await state(page, "none");
  await mainButton(page, "quake").getByText("Get").waitFor();
  assert.equal(await page.locator(".toast.bad, .badge.bad").count(), 0);
  me.limit("0");
  await mainButton(page, "quake").click();
  await state(page, "none", "downloaded");
});

test("all peers gone and back: it waits, says so, and goes on by itself", options, async () => {
  const { ann, ben, me, page } = await threeWith(bytes(SIZE));
  me.limit("3M");
  await mainButton(page, "quake").click();
  await card(page, "quake").getByText(/[1-9]\d*\s%\s·.*B\/s/).waitFor();
  await ann.kill();
  await ben.kill();
  await card(page, "quake").getByText("Waiting for somebody who has it").waitFor();
  await page.locator(".toast").getByText("everybody who has it is gone").waitFor();
  await page.locator(".banner").getByText("You are alone here").waitFor();
  me.limit("0");
  await ann.start();
  await state(page, "none", "downloaded");
});

test("the daemon is killed and restarted under the page: the download is there again", options, async () => {
  const { me, page } = await threeWith(bytes(SIZE));
  me.limit("3M");
  await mainButton(page, "quake").click();
  await card(page, "quake").getByText(/[1-9]\d*\s%\s·.*B\/s/).waitFor();
  await me.kill();
  await page.locator(".banner.lost").getByText("Reconnecting").waitFor();
  assert.equal(await mainButton(page, "quake").isDisabled(), true);
  await me.start();
  await live(page);
  await page.locator(".banner.lost").waitFor({ state: "detached" });
  await state(page, "downloading");
  await mainButton(page, "quake").getByText("Cancel").click();
  await state(page, "none");
});
