// Pictures of every view, in both themes and on a phone, for a person to look at: tests/web/artifacts.
import assert from "node:assert/strict";
import { mkdirSync, statSync } from "node:fs";
import path from "node:path";
import { test } from "node:test";
import { party, peers } from "./lib/fake.mjs";
import { artifacts } from "./lib/paths.mjs";
import { card, fakeWith, live, open, until } from "./lib/suite.mjs";

const phone = { viewport: { width: 390, height: 844 }, deviceScaleFactor: 2, isMobile: true, hasTouch: true };
const looks = {
  dark: { colorScheme: "dark" },
  light: { colorScheme: "light" },
  german: { locale: "de-DE", colorScheme: "light", ...phone },
  french: { locale: "fr-FR", colorScheme: "dark", viewport: { width: 1024, height: 768 } },
  phone: { colorScheme: "dark", ...phone },
};

async function settle(page) {
  await until(
    () => page.evaluate(() => [...document.images].every((image) => image.complete || image.loading === "lazy")),
    "the pictures are there",
  );
  await page.evaluate(() => document.fonts.ready);
}

/** No big button's label is cut off. */
async function whole(page, name) {
  const cut = await page.evaluate(() => [...document.querySelectorAll(".card-actions .main span")]
    .filter((label) => label.scrollWidth > label.clientWidth && getComputedStyle(label).display !== "inline")
    .map((label) => label.textContent));
  assert.deepEqual(cut, [], `cut off in ${name}`);
}

/** A picture of what is in sight, or of the whole view; nothing may be wider than the screen. */
async function shoot(page, name, full = false) {
  await settle(page);
  const [wide, room, tall] = await page.evaluate(() => {
    const { scrollWidth, scrollHeight } = document.documentElement;
    return [scrollWidth, innerWidth, scrollHeight];
  });
  assert.ok(wide <= room, `${name} is ${wide} wide, the screen ${room}`);
  const file = path.join(artifacts, `${name}.png`);
  const { width, height } = page.viewportSize();
  if (full) await page.setViewportSize({ width, height: Math.max(height, tall) });
  await page.screenshot({ path: file });
  if (full) await page.setViewportSize({ width, height });
  assert.ok(statSync(file).size > 5_000, file);
}

for (const [look, options] of Object.entries(looks)) {
  test(`pictures: ${look}`, async () => {
    mkdirSync(artifacts, { recursive: true });
    const fake = await fakeWith(party);
    await fake.do({ peers });
    await fake.do({ status: "services", value: [
      { name: "quic", state: "running", restarts: 0 },
      { name: "discovery", state: "restarting", restarts: 2, error: "no usable interface" },
    ] });
    await fake.do({ script: "torrent_list", answer: { ok: true, result: { torrents: [
      { id: "aa", name: "Neon Drift", state: "downloading", done: 6e8, total: 18e8, download_rate: 21e6, upload_rate: 4e6, ratio: 0.4, eta_s: 57, peers: 7, seeds: 3, game: "neon-drift", save_path: "/srv/games" },
      { id: "bb", name: "Golden Kingdom", state: "seeding", done: 4e9, total: 4e9, download_rate: 0, upload_rate: 12e6, ratio: 3.1, peers: 2, seeds: 0, save_path: "/srv/games" },
      { id: "cc", name: "Old Installer", state: "failed", done: 1e8, total: 7e8, download_rate: 0, upload_rate: 0, ratio: 0, peers: 0, seeds: 0, error: "Old Installer.iso: no space left on the disk" },
    ] } } });
    const page = await open(fake.url, options);
    const go = (view) => page.locator(`nav a[href="#/${view}"]`).click();
    await live(page);
    await card(page, "deep-colony").locator(".main").click();
    await page.locator('.card[data-operation="downloading"]').waitFor();
    await fake.advance(5e9);
    await page.locator(".card .numbers").getByText(/^40/).waitFor();
    await page.evaluate(() => window.scrollTo(0, 0));
    await whole(page, `shelf-${look}`);
    await shoot(page, `shelf-${look}`);
    await card(page, "deep-colony").locator(".cover").click();
    await page.getByRole("dialog").locator("canvas").waitFor();
    await shoot(page, `game-${look}`);
    await page.keyboard.press("Escape");
    await page.getByRole("searchbox").fill("solar"); // that nobody has: the longest label
    await until(() => page.evaluate(() => document.querySelectorAll(".card").length === 1), "only that one is shown");
    await card(page, "solar-tactics").waitFor();
    await until(async () => (await page.locator(".card").count()) === 1, "only that one is on the shelf");
    await whole(page, `the shelf, ${look}`);
    await page.getByRole("searchbox").fill("turbo");
    await card(page, "turbo-empire").locator(".main").click();
    await page.locator("dialog .variants").waitFor();
    await shoot(page, `variants-${look}`);
    await page.keyboard.press("Escape");
    for (let second = 0; second < 12; second++) {
      await fake.do({ status: "down_rate", value: 6e7 + 4e7 * Math.sin(second / 2) });
      await fake.do({ status: "up_rate", value: 3e7 + 1e7 * Math.cos(second) });
      await fake.emit({ event: "health_changed" });
      await page.waitForResponse((reply) => reply.url().endsWith("/api/status"));
    }
    await go("party");
    await page.locator("table.peers").waitFor();
    await shoot(page, `party-${look}`, true);
    await go("torrents");
    await page.getByText("Golden Kingdom").first().waitFor();
    await shoot(page, `torrents-${look}`, true);
    await go("settings");
    await page.getByText("no usable interface").waitFor();
    await shoot(page, `settings-${look}`, true);
  });
}

for (const locale of ["de-DE", "fr-FR"]) {
  test(`the big buttons have room for their labels at every width: ${locale}`, async () => {
    const fake = await fakeWith(party);
    const page = await open(fake.url, { locale });
    await live(page);
    await page.getByRole("searchbox").fill("solar"); // that nobody has: the longest label
    for (const width of [360, 768, 1024, 1280, 1440, 1920, 2560]) {
      await page.setViewportSize({ width, height: 2000 });
      await card(page, "solar-tactics").waitFor();
      await whole(page, `${width}`);
    }
  });
}

for (const look of ["dark", "german"]) {
  test(`pictures of a shelf without games and peers: ${look}`, async () => {
    mkdirSync(artifacts, { recursive: true });
    const fake = await fakeWith([]);
    await fake.do({ status: "peers", value: 0 });
    const page = await open(fake.url, looks[look]);
    await page.locator(".empty h2").waitFor();
    await shoot(page, `empty-${look}`);
    await page.locator('nav a[href="#/party"]').click();
    await page.locator(".empty.small").waitFor();
    await shoot(page, `alone-${look}`, true);
  });

  test(`pictures of what goes wrong: ${look}`, async () => {
    mkdirSync(artifacts, { recursive: true });
    const fake = await fakeWith(party);
    const page = await open(fake.url, looks[look]);
    await card(page, "deep-colony").waitFor();
    await fake.do({ status: "health", value: { state: "degraded", degraded: ["discovery", "torrent"] } });
    await fake.emit({ event: "health_changed", state: "degraded", degraded: ["discovery", "torrent"] });
    await page.locator(".banner.warm").waitFor();
    await fake.emit({
      event: "download_failed",
      game: "deep-colony",
      error: { code: "no_space", message: "deep-colony needs 12.4 GB, /srv/games has 1.2 GB" },
    });
    await page.locator(".toast.bad").waitFor();
    await page.evaluate(() => window.scrollTo(0, 0));
    await shoot(page, `degraded-${look}`);
    await card(page, "deep-colony").locator(".cover").click();
    await page.getByRole("alert").waitFor();
    await shoot(page, `failure-${look}`);
    await page.keyboard.press("Escape");
    await fake.emit({ event: "runtime_failed", component: "quic", error: { code: "io", message: "the socket is gone" } });
    await page.locator(".banner.bad").waitFor();
    await page.evaluate(() => window.scrollTo(0, 0));
    await shoot(page, `lost-${look}`);
  });
}
