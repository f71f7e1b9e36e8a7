// One main action for each state, the whole life of a game, and questions before what cannot be undone.
import assert from "node:assert/strict";
import { test } from "node:test";
import { game, party } from "./lib/fake.mjs";
import { card, fakeWith, mainButton, open, shown, until } from "./lib/suite.mjs";

test("each state has its one main action", async () => {
  const fake = await fakeWith(party);
  const page = await open(fake.url);
  const expected = {
    "neon-drift": "Get",
    "crystal-siege": "Install",
    "iron-harvest": "Play",
    fragstorm: "Update",
    "pixel-brawl": "Play",
    "solar-tactics": "Get later",
  };
  for (const [id, label] of Object.entries(expected))
    assert.equal((await mainButton(page, id).innerText()).trim(), label, id);
  await mainButton(page, "neon-drift").click();
  await card(page, "neon-drift").getByRole("button", { name: "Cancel: Neon Drift" }).waitFor();
});

test("get, install, update, uninstall: the card follows all the way", async () => {
  const fake = await fakeWith([game("quake", { title: "Quake" })]);
  const page = await open(fake.url);
  await mainButton(page, "quake").click();
  await page.locator('.card[data-operation="downloading"]').waitFor();
  await fake.advance(1_000_000_000);
  await card(page, "quake").getByText("25 % · 112 MB/s").waitFor();
  await page.locator(".overall").getByText("1 operation").waitFor();
  await fake.advance(9e9);
  await mainButton(page, "quake").getByText("Install").click();
  await page.locator('.card[data-operation="installing"]').waitFor();
  await fake.advance(9e9);
  await mainButton(page, "quake").getByText("Play").waitFor();
  await page.getByText("Quake is ready to play").waitFor();
  await fake.change("quake", { latest_version: "20250101" });
  await mainButton(page, "quake").getByText("Update").click();
  await page.locator('.card[data-operation="updating"]').waitFor();
  await fake.advance(9e9);
  await mainButton(page, "quake").getByText("Play").waitFor();
  await card(page, "quake").getByRole("button", { name: "More for Quake" }).click();
  await page.getByRole("menuitem", { name: "Uninstall" }).click();
  await page.getByRole("dialog", { name: "Uninstall Quake?" }).getByRole("button", { name: "Uninstall" }).click();
  await page.locator('.card[data-operation="uninstalling"]').waitFor({ state: "attached" });
  await fake.advance(9e9);
  await page.locator('.card[data-availability="downloaded"][data-operation="none"]').waitFor({ state: "attached" });
});

test("cancel ends a download, and that is no failure", async () => {
  const fake = await fakeWith([game("quake", { title: "Quake" })]);
  const page = await open(fake.url);
  await mainButton(page, "quake").click();
  await page.locator('.card[data-operation="downloading"]').waitFor();
  await fake.advance(1e9);
  await mainButton(page, "quake").getByText("Cancel").click();
  await mainButton(page, "quake").getByText("Get").waitFor();
  assert.equal(await page.locator(".toast.bad, .badge.bad").count(), 0);
});

test("a paused download is shown as that, not as failed or running, and goes on", async () => {
  const fake = await fakeWith([game("quake", { title: "Quake" })]);
  const page = await open(fake.url);
  const choose = async (action) => {
    await card(page, "quake").getByRole("button", { name: "More for Quake" }).click();
    await page.getByRole("menuitem", { name: action }).click();
  };
  await mainButton(page, "quake").click();
  await fake.advance(1e9);
  await card(page, "quake").getByText("25 % · 112 MB/s").waitFor();
  await choose("Pause");
  await card(page, "quake").getByText("25 % · Paused").waitFor();
  assert.equal(await page.locator(".toast.bad, .badge.bad").count(), 0);
  await choose("Resume");
  await fake.advance(1e9);
  await card(page, "quake").getByText("50 % · 112 MB/s").waitFor();
});

test("a game whose files are read shows how far that is", async () => {
  const fake = await fakeWith([game("quake", { title: "Quake", availability: "downloaded", operation: "hashing" })]);
  const page = await open(fake.url);
  await card(page, "quake").waitFor();
  for (const part of [0.25, 0.5]) {
    await fake.emit({ event: "hashing_progress", game: "quake", done: part * 4e9, total: 4e9, phase: "hashing" });
    await card(page, "quake").getByText(`${part * 100} %`).waitFor();
  }
});

test("a download that waits for peers says so and goes on", async () => {
  const fake = await fakeWith([game("quake", { title: "Quake" })]);
  const page = await open(fake.url);
  await mainButton(page, "quake").click();
  await page.locator('.card[data-operation="downloading"]').waitFor();
  await fake.advance(1e9);
  await fake.emit({ event: "download_all_peers_gone", game: "quake" });
  await fake.change("quake", { waiting: true, sources: 0 });
  await card(page, "quake").getByText("Waiting for somebody who has it").waitFor();
  await fake.change("quake", { waiting: false, sources: 1 });
  await fake.advance(1e9);
  await card(page, "quake").getByText("50 % · 112 MB/s").waitFor();
});

test("several contents of one version are a choice, with who has which", async () => {
  const fake = await fakeWith([game("quake", { title: "Quake", variants: 2 })]);
  const page = await open(fake.url);
  await mainButton(page, "quake").click();
  const dialog = page.getByRole("dialog", { name: "Which one?" });
  await dialog.getByText("3 have it").waitFor();
  await dialog.getByRole("button", { name: "Get this one" }).first().click();
  await page.locator('.card[data-operation="downloading"]').waitFor();
});

test("a failure is told in words, with what to do", async () => {
  const fake = await fakeWith([game("quake", { title: "Quake" })]);
  const page = await open(fake.url);
  await card(page, "quake").waitFor();
  await fake.emit({
    event: "download_failed",
    game: "quake",
    error: { code: "no_space", message: "quake needs 4.0 GB, /games has 1.2 GB" },
  });
  await page.locator(".toast.bad").getByText("Quake could not be downloaded").waitFor();
  await card(page, "quake").locator(".cover").click();
  const alert = page.getByRole("alert");
  await alert.getByText("The disk is full.").waitFor();
  await alert.getByText("quake needs 4.0 GB").waitFor();
});

test("a game that its disk damaged can be got again, installed or not", async () => {
  const here = { availability: "installed", local_version: "20240131", content: "ab".repeat(32) };
  const problem = "quake is damaged on this disk: maps.bin (2 of 9 chunks)";
  const fake = await fakeWith([game("quake", { title: "Quake", ...here }), game("doom", { title: "Doom", ...here, problem: "a link" })]);
  const page = await open(fake.url);
  const menu = async (title) => {
    await card(page, title.toLowerCase()).getByRole("button", { name: `More for ${title}` }).click();
    await page.getByRole("menuitem", { name: "Check" }).waitFor();
    const offered = await page.getByRole("menuitem", { name: "Get again" }).count();
    await page.keyboard.press("Escape");
    return offered;
  };
  // What is well has nothing to get, and a folder that is not as it should be is not mended by that.
  assert.equal(await menu("Quake"), 0);
  assert.equal(await menu("Doom"), 0);
  await fake.change("quake", { damaged: true, problem });
  await card(page, "quake").locator(".badge.bad").waitFor();
  assert.equal(await menu("Quake"), 1);
  await mainButton(page, "quake").getByText("Play").waitFor();
  await card(page, "quake").locator(".cover").click();
  await page.getByRole("alert").getByText(problem).waitFor();
  const sent = page.waitForRequest((one) => one.url().endsWith("/api/games/quake/download"));
  await page.getByRole("alert").getByRole("button", { name: "Get again" }).click();
  assert.equal((await sent).method(), "POST");
  await page.locator('.card[data-operation="downloading"]').waitFor({ state: "attached" });
  await fake.change("doom", { availability: "downloaded", damaged: true });
  await page.keyboard.press("Escape");
  await mainButton(page, "doom").getByText("Get again").waitFor();
});

test("a refused action says why", async () => {
  const fake = await fakeWith([game("quake")]);
  await fake.do({
    script: "download_game_files",
    answer: { ok: false, error: { code: "no_space", message: "the disk has no room for it" } },
  });
  const page = await open(fake.url);
  await mainButton(page, "quake").click();
  await page.locator(".toast.bad").getByText("the disk has no room for it").waitFor();
  assert.deepEqual(await shown(page, "quake"), { operation: "none", availability: "remote" });
});

test("markup in a game's name stays text, everywhere it is shown", async () => {
  const title = `<img src=x onerror="window.hacked=1"><script>window.hacked=1</script>`;
  const fake = await fakeWith([
    game("evil", { title, publisher: title, genre: title, readme_en: title, problem: title }),
  ]);
  const page = await open(fake.url);
  await card(page, "evil").locator("h3").getByText(title, { exact: true }).waitFor();
  await mainButton(page, "evil").click();
  await page.locator('.card[data-operation="downloading"]').waitFor();
  await fake.emit({ event: "download_failed", game: "evil", error: { code: "io", message: title } });
  await page.locator(".toast.bad").first().waitFor();
  await card(page, "evil").locator(".cover").click();
  await page.getByRole("dialog").waitFor();
  assert.equal(await page.evaluate(() => window.hacked), undefined);
  assert.equal(await page.locator("img[src=x]").count(), 0);
});

test("the games folder is checked before it is taken", async () => {
  const fake = await fakeWith([]);
  const page = await open(new URL("/#/settings", fake.url).href.replace("/#", `/${new URL(fake.url).search}#`));
  const field = page.getByLabel("Games folder");
  await until(async () => (await field.inputValue()) !== "", "the folder that is set");
  await field.fill("relative/path");
  await page.getByRole("button", { name: "Check" }).click();
  await page.getByText("must be an absolute path").waitFor();
  await field.fill("/");
  await page.getByRole("button", { name: "Check" }).click();
  await page.getByText("This folder is fine: 123 GB free.").waitFor();
});

test("limits take human numbers and refuse what is none", async () => {
  const fake = await fakeWith([]);
  const page = await open(fake.url);
  await page.getByRole("link", { name: "Settings" }).click();
  const field = page.getByLabel("Upload limit");
  await field.fill("fast");
  await field.press("Enter");
  await page.getByText("Write a number").waitFor();
  await field.fill("40 M");
  await field.press("Enter");
  await page.getByText("Saved").waitFor();
  const limits = await page.evaluate(() => fetch("/api/limits").then((reply) => reply.json()));
  assert.equal(limits.up, 40_000_000);
});

test("a torrent file of megabytes is sent; one that is too large is told in words and not sent", async () => {
  const fake = await fakeWith([]);
  const page = await open(fake.url);
  const sent = [];
  page.on("request", (request) => request.method() === "POST" && sent.push(request.postData().length));
  await page.getByRole("navigation").getByRole("link", { name: "Torrents" }).click();
  const choose = (size) =>
    page
      .locator('input[type="file"]')
      .setInputFiles({ name: "disk.torrent", mimeType: "application/x-bittorrent", buffer: Buffer.alloc(size, "d") });
  await choose(11_000_001);
  await page.getByText("disk.torrent is larger than 11 MB. Give its path above in its place.").waitFor();
  assert.deepEqual(sent, []);
  const answered = page.waitForResponse((response) => response.request().method() === "POST");
  await choose(11_000_000);
  assert.equal((await answered).status(), 200);
  assert.equal(sent.length, 1);
  assert.ok(sent[0] > 14_600_000);
});

test("a game's folder is opened from its menu, and only where there is one", async () => {
  const fake = await fakeWith([game("quake", { title: "Quake", availability: "downloaded", local_version: "20240131" }), game("doom", { title: "Doom" })]);
  const page = await open(fake.url);
  await card(page, "doom").getByRole("button", { name: "More for Doom" }).click();
  await page.getByRole("menuitem", { name: "Who has it" }).waitFor();
  assert.equal(await page.getByRole("menuitem", { name: "Open the folder" }).count(), 0);
  await page.keyboard.press("Escape");
  await card(page, "quake").getByRole("button", { name: "More for Quake" }).click();
  const reply = page.waitForResponse((one) => one.url().endsWith("/api/games/quake/open-folder"));
  await page.getByRole("menuitem", { name: "Open the folder" }).click();
  assert.equal((await reply).status(), 200);
});
