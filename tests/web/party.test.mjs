// The party as it is: who has what by name, what flows, pictures of games from wherever they are.
import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import path from "node:path";
import { test } from "node:test";
import { bytes, choose, Daemon, options, state, threeWith } from "./lib/daemon.mjs";
import { png } from "./lib/picture.mjs";
import { card, keep, mainButton, open, until } from "./lib/suite.mjs";

test("who has a game is told by name, and what each of them sends is shown", options, async () => {
  const { me, page } = await threeWith(bytes(48 << 20));
  await choose(page, "Who has it");
  const holders = page.getByRole("dialog").locator(".holders li");
  await until(async () => (await holders.count()) === 2, "two holders");
  const texts = await holders.allInnerTexts();
  assert.match(texts[0], /ann\s+31 Jan 2024 · has all of it/);
  assert.match(texts[1], /ben\s+31 Jan 2024 · has all of it/);
  await page.keyboard.press("Escape");
  me.limit("6M");
  await mainButton(page, "quake").click();
  await state(page, "downloading");
  await page.getByRole("navigation").getByRole("link", { name: "Party" }).click();
  for (const name of ["ann", "ben"]) {
    const row = page.locator("table.peers tr", { hasText: name });
    await row.getByText(/↓ .*B\/s/).waitFor();
    await row.getByText(/127\.0\.0\.1:\d+/).waitFor();
    await row.getByText(/ ms/).waitFor();
  }
  await page.locator(".chart .key.down b").getByText(/[1-9].* MB\/s/).waitFor();
  assert.ok((await page.locator(".chart .trace.down").getAttribute("d")).includes("L"));
  await page.locator(".chunks figcaption").getByText(/[1-9]\d* of \d+ chunks are here and verified/).waitFor();
  // The map: some of it is here, the rest both others have; nothing is in nobody's hands.
  const colors = await page.locator(".chunks canvas").evaluate((canvas) => {
    const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
    const seen = new Set();
    for (let at = 0; at < data.length; at += 4) if (data[at + 3] === 255) seen.add(data.slice(at, at + 3).join());
    const style = getComputedStyle(canvas);
    const probe = document.createElement("canvas").getContext("2d");
    const of = (name) => {
      probe.fillStyle = style.getPropertyValue(name).trim();
      probe.fillRect(0, 0, 1, 1);
      return probe.getImageData(0, 0, 1, 1).data.slice(0, 3).join();
    };
    return { have: seen.has(of("--chunk-have")), many: seen.has(of("--chunk-many")), none: seen.has(of("--chunk-none")) };
  });
  assert.deepEqual(colors, { have: true, many: true, none: false });
  me.limit("0");
  await page.getByText("Nothing is being downloaded.").waitFor();
});

test("different contents of one version are a choice among those who have them", options, async () => {
  const [ann, ben, me] = ["ann", "ben", "me"].map((name) => keep(new Daemon(name)));
  ann.add("quake", "1.0", bytes(1 << 20));
  ben.add("quake", "1.0", bytes(1 << 20));
  await ann.start();
  await ben.start(ann);
  await me.start(ann, ben);
  await until(() => me.game("quake")?.variants === 2, "both contents are known");
  const page = await open(me.url);
  await mainButton(page, "quake").click();
  const dialog = page.getByRole("dialog", { name: "Which one?" });
  const theirs = dialog.locator("li", { hasText: "ben" });
  await theirs.getByText("1 has it").waitFor();
  await theirs.getByRole("button", { name: "Get this one" }).click();
  await state(page, "none", "downloaded");
  assert.equal(me.game("quake").content, ben.game("quake").content);
});

test("covers: the catalogue's, the folder's, another peer's, else drawn; with validators", options, async () => {
  const ann = keep(new Daemon("ann"));
  const me = keep(new Daemon("me"));
  const [red, green, blue] = [png(20, 30, [255, 0, 0]), png(21, 30, [0, 255, 0]), png(22, 30, [0, 0, 255])];
  me.add("foldered", "1.0", bytes(4096), { "cover.png": red });
  ann.add("distant", "1.0", bytes(4096), { "cover.png": green });
  ann.add("liar", "1.0", bytes(4096), { "cover.png": "<script>alert(1)</script>" });
  writeFileSync(path.join(me.folder, "blue.png"), blue);
  writeFileSync(path.join(me.folder, "catalog.json"), JSON.stringify([{ id: "listed", title: "Listed", cover: "blue.png" }]));
  await ann.start();
  await me.start(ann);
  me.cli("catalog", "import", path.join(me.folder, "catalog.json"));
  await until(() => me.game("distant") && me.game("liar") && me.game("foldered"), "all games are known");
  for (const [id, picture] of Object.entries({ foldered: red, distant: green, listed: blue })) {
    const reply = await me.fetch(`/api/covers/${id}`);
    assert.equal(reply.status, 200);
    assert.equal(reply.headers.get("content-type"), "image/png", id);
    assert.equal(reply.headers.get("x-content-type-options"), "nosniff");
    assert.ok(Buffer.from(await reply.arrayBuffer()).equals(picture), id);
    const etag = reply.headers.get("etag");
    const again = await me.fetch(`/api/covers/${id}`, { headers: { "If-None-Match": etag } });
    assert.equal(again.status, 304, id);
  }
  for (const id of ["liar", "quake-of-nobody"]) {
    const reply = await me.fetch(`/api/covers/${id}`);
    if (id === "liar") assert.equal(reply.headers.get("content-type"), "image/svg+xml");
    else assert.equal(reply.status, 404);
  }
  assert.equal((await me.fetch("/api/covers/distant", { token: false })).status, 401);
  const page = await open(me.url);
  for (const [id, width] of Object.entries({ foldered: 20, distant: 21, listed: 22, liar: 300 })) {
    await page.getByRole("searchbox").fill(id);
    const image = card(page, id).locator("img");
    await until(() => image.evaluate((node) => node.complete && node.naturalWidth > 0), `the cover of ${id}`);
    assert.equal(await image.evaluate((node) => node.naturalWidth), width, id);
  }
});
