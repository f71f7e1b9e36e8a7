// For everybody: axe finds nothing serious, the keyboard does it all, three languages, a phone.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { test } from "node:test";
import { game, party, peers } from "./lib/fake.mjs";
import { card, fakeWith, live, open, until } from "./lib/suite.mjs";

const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

async function serious(page) {
  await page.evaluate(`if (!window.axe) { ${axe} }`);
  const { violations } = await page.evaluate(() => window.axe.run(document, { resultTypes: ["violations"] }));
  return violations
    .filter((item) => item.impact === "serious" || item.impact === "critical")
    .map((item) => `${item.id}: ${item.nodes[0].html} (${item.nodes[0].failureSummary})`);
}

for (const colorScheme of ["dark", "light"]) {
  test(`axe finds nothing serious in any view, ${colorScheme}`, async () => {
    const fake = await fakeWith(party);
    await fake.do({ peers });
    const page = await open(fake.url, { colorScheme });
    await card(page, "neon-drift").locator(".main").click();
    await page.locator('.card[data-operation="downloading"]').waitFor();
    await fake.advance(7e8);
    for (const view of ["Shelf", "Party", "Torrents", "Settings"]) {
      await page.getByRole("navigation").getByRole("link", { name: view }).click();
      await page.locator(`nav a[aria-current=page]:has-text("${view}")`).waitFor();
      assert.deepEqual(await serious(page), [], view);
    }
    await page.getByRole("link", { name: "Shelf" }).click();
    await card(page, "neon-drift").locator(".cover").click();
    await page.getByRole("dialog").locator("canvas").waitFor();
    assert.deepEqual(await serious(page), [], "a game's sheet");
  });
}

test("the keyboard alone: search, move, open, act, close", async () => {
  const fake = await fakeWith(party);
  const page = await open(fake.url);
  await card(page, "neon-drift").waitFor();
  await page.keyboard.press("/");
  await page.keyboard.type("neon");
  await until(async () => (await page.locator(".card").count()) === 1, "one game left");
  await page.keyboard.press("Escape");
  await until(async () => (await page.locator(".card").count()) > 1, "all games again");
  await page.locator(".cover").first().focus();
  await page.keyboard.press("ArrowRight");
  const second = await page.evaluate(() => document.activeElement.dataset.index);
  assert.equal(second, "1");
  await page.keyboard.press("ArrowDown");
  await until(
    async () => Number(await page.evaluate(() => document.activeElement.dataset.index)) > 1,
    "the row below",
  );
  await page.keyboard.press("Enter");
  await page.getByRole("dialog").waitFor();
  await page.keyboard.press("Escape");
  await page.getByRole("dialog").waitFor({ state: "detached" });
  assert.notEqual(await page.evaluate(() => document.activeElement.dataset.index), undefined);
});

test("arrows reach games far outside the window", async () => {
  const fake = await fakeWith([]);
  await fake.do({ fill: 600 });
  const page = await open(fake.url);
  await page.locator(".cover").first().focus();
  await page.keyboard.press("End");
  await until(
    async () => (await page.evaluate(() => document.activeElement?.dataset.index)) === "599",
    "the last game has the focus",
  );
});

for (const [locale, words] of Object.entries({
  "de-DE": ["Regal", "Spielen", "Einstellungen"],
  "fr-FR": ["Étagère", "Jouer", "Réglages"],
  "pl-PL": ["Shelf", "Play", "Settings"],
})) {
  test(`a browser in ${locale} reads ${words[0]}`, async () => {
    const fake = await fakeWith([game("quake", { availability: "installed", local_version: "20240131" })]);
    const page = await open(fake.url, { locale });
    for (const word of words) await page.getByText(word, { exact: true }).first().waitFor();
    await card(page, "quake").getByText(locale === "fr-FR" ? /^4 Go/ : /^4 GB/).waitFor();
    assert.equal(await page.evaluate(() => document.documentElement.lang), { d: "de", f: "fr", p: "en" }[locale[0]]);
  });
}

test("the language and theme that were chosen stay", async () => {
  const fake = await fakeWith([]);
  const page = await open(fake.url);
  await page.getByRole("link", { name: "Settings" }).click();
  await page.getByLabel("Theme").selectOption("light");
  await page.getByLabel("Language").selectOption("de");
  await page.reload();
  await page.getByRole("heading", { name: "Einstellungen" }).waitFor();
  assert.equal(await page.evaluate(() => document.documentElement.dataset.theme), "light");
});

test("nothing is wider than a phone", async () => {
  const fake = await fakeWith(party);
  await fake.do({ peers });
  const page = await open(fake.url, { viewport: { width: 360, height: 740 }, hasTouch: true });
  await live(page);
  for (const view of ["Shelf", "Party", "Torrents", "Settings"]) {
    await page.getByRole("navigation").getByRole("link", { name: view }).click();
    await page.locator(`nav a[aria-current=page]:has-text("${view}")`).waitFor();
    const over = await page.evaluate(
      () => document.documentElement.scrollWidth - document.documentElement.clientWidth,
    );
    assert.ok(over <= 0, `${view} is ${over} px too wide`);
  }
});

test("what nobody has comes after what can be had, until somebody waits for it", async () => {
  const fake = await fakeWith(["a", "b", "c"].map((id) => game(id, id === "a" ? { availability: "unavailable", sources: 0 } : {})));
  const page = await open(fake.url);
  const expect = (order) =>
    until(async () => {
      const ids = await page.locator(".card").evaluateAll((all) => all.map((item) => item.dataset.game));
      return ids.join() === order;
    }, order);
  await expect("b,c,a");
  await fake.change("a", { operation: "downloading", waiting: true });
  await expect("a,b,c");
});

for (const colorScheme of ["dark", "light"]) {
  test(`what a cover says can be read, ${colorScheme}`, async () => {
    const fake = await fakeWith([game("quake", { availability: "unavailable", sources: 0 })]);
    const page = await open(fake.url, { colorScheme });
    const color = await card(page, "quake").locator(".cover .badge").evaluate((badge) => getComputedStyle(badge).color);
    const light = color.match(/\d+/g).slice(0, 3).map(Number);
    assert.ok(Math.min(...light) > 180, `${color} on a dark ground`);
  });
}

test("filters, genres and sorting find what they say", async () => {
  const fake = await fakeWith(party);
  const page = await open(fake.url);
  await card(page, "neon-drift").waitFor();
  const ids = () => page.locator(".card").evaluateAll((all) => all.map((item) => item.dataset.game));
  const expect = async (what, check) => until(async () => check(await ids()), what);
  await page.getByRole("button", { name: /^Updates/ }).click();
  await expect("updates alone", (list) => list.join() === "fragstorm");
  await page.getByRole("button", { name: /^Installed/ }).click();
  await expect("what is installed", (list) => list.length === 4 && list.includes("pixel-brawl"));
  await page.getByRole("button", { name: /^All/ }).click();
  await page.getByLabel("Genre").selectOption("Racing");
  await expect("racing alone", (list) => list.join() === "neon-drift");
  await page.getByLabel("Genre").selectOption("");
  await page.getByLabel("Players").selectOption("32");
  await expect("for 32 players", (list) => list.length === 2);
  await page.getByLabel("Players").selectOption("0");
  await page.getByLabel("Sort").selectOption("sort_size");
  await expect("the largest first", (list) => list[0] === "astral-legends");
});
