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
    const shoot = async (name, fullPage = false) => {
      await settle(page);
      const [wide, room] = await page.evaluate(() => [document.documentElement.scrollWidth, innerWidth]);
      assert.ok(wide <= room, `${name} in ${look} is ${wide} wide, the screen ${room}`);
      const file = path.join(artifacts, `${name}-${look}.png`);
      const { width, height } = page.viewportSize();
      const whole = await page.evaluate(() => document.documentElement.scrollHeight);
      if (fullPage) await page.setViewportSize({ width, height: Math.max(height, whole) });
      await page.screenshot({ path: file });
      if (fullPage) await page.setViewportSize({ width, height });
      assert.ok(statSync(file).size > 10_000, file);
    };
    const go = (view) => page.locator(`nav a[href="#/${view}"]`).click();
    await live(page);
    await card(page, "deep-colony").locator(".main").click();
    await page.locator('.card[data-operation="downloading"]').waitFor();
    await fake.advance(5e9);
    await page.locator(".card .numbers").getByText(/^40/).waitFor();
    await page.evaluate(() => window.scrollTo(0, 0));
    await shoot("shelf");
    await card(page, "deep-colony").locator(".cover").click();
    await page.getByRole("dialog").locator("canvas").waitFor();
    await shoot("game");
    await page.keyboard.press("Escape");
    await page.getByRole("searchbox").fill("turbo");
    await card(page, "turbo-empire").locator(".main").click();
    await page.locator("dialog .variants").waitFor();
    await shoot("variants");
    await page.keyboard.press("Escape");
    for (let second = 0; second < 12; second++) {
      await fake.do({ status: "down_rate", value: 6e7 + 4e7 * Math.sin(second / 2) });
      await fake.do({ status: "up_rate", value: 3e7 + 1e7 * Math.cos(second) });
      await fake.emit({ event: "health_changed" });
      await page.waitForResponse((reply) => reply.url().endsWith("/api/status"));
    }
    await go("party");
    await page.locator("table.peers").waitFor();
    await shoot("party", true);
    await go("torrents");
    await page.getByText("Golden Kingdom").first().waitFor();
    await shoot("torrents", true);
    await go("settings");
    await page.getByText("no usable interface").waitFor();
    await shoot("settings", true);
  });
}
