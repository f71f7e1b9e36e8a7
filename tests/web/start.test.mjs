// How the page comes to a person: `lanspread open`, bare `lanspread`, a desktop, a headless box, a notification.
import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { networkInterfaces, tmpdir } from "node:os";
import path from "node:path";
import { test } from "node:test";
import { binary, bytes, Daemon, options, state } from "./lib/daemon.mjs";
import { game } from "./lib/fake.mjs";
import { build, root } from "./lib/paths.mjs";
import { card, fakeWith, keep, live, mainButton, open, until } from "./lib/suite.mjs";

/** A desktop: what is opened in it is written down. */
function desktop() {
  const folder = mkdtempSync(path.join(tmpdir(), "lanspread-desktop-"));
  keep({ stop: () => rmSync(folder, { recursive: true, force: true }) });
  mkdirSync(path.join(folder, "bin"));
  const opener = path.join(folder, "bin/xdg-open");
  writeFileSync(opener, `#!/bin/sh\necho "$1" >> ${folder}/opened\n`);
  chmodSync(opener, 0o755);
  const env = { ...process.env, PATH: `${folder}/bin:${process.env.PATH}`, HOME: folder, DISPLAY: ":99" };
  env.XDG_STATE_HOME = path.join(folder, "state");
  env.XDG_RUNTIME_DIR = path.join(folder, "run");
  mkdirSync(env.XDG_RUNTIME_DIR, { mode: 0o700 });
  const opened = () => {
    const file = path.join(folder, "opened");
    return existsSync(file) ? readFileSync(file, "utf8").split("\n").filter(Boolean) : [];
  };
  return { folder, env, opened };
}

test("`lanspread open` opens the page in the default browser with the token", options, async () => {
  const { env, opened } = desktop();
  const me = keep(new Daemon("me"));
  await me.start();
  const said = execFileSync(binary, ["open", "--control", me.control], { env, encoding: "utf8" });
  await until(() => opened().length === 1, "the browser is started");
  assert.equal(opened()[0], me.url);
  assert.ok(said.includes(me.url));
  const page = await open(opened()[0]);
  await live(page);
});

test("bare `lanspread` starts a peer if none runs and opens the page; then only opens it", options, async () => {
  const { folder, env, opened } = desktop();
  const settings = { listen: "127.0.0.1:0", http: "127.0.0.1:0", discovery: false, games_dir: path.join(folder, "games") };
  mkdirSync(path.join(env.XDG_STATE_HOME, "lanspread"), { recursive: true });
  writeFileSync(path.join(env.XDG_STATE_HOME, "lanspread/config.json"), JSON.stringify(settings));
  const run = (...words) => spawnSync(binary, words, { env, encoding: "utf8" });
  keep({ stop: () => run("stop") });
  const first = run();
  assert.equal(first.status, 0, first.stderr);
  await until(() => opened().length === 1, "the browser is started");
  const page = await open(opened()[0]);
  await live(page);
  const { peer_id: id } = JSON.parse(run("status", "--json").stdout);
  assert.equal(run().status, 0);
  await until(() => opened().length === 2, "the browser is started again");
  assert.equal(opened()[1], opened()[0]);
  assert.equal(JSON.parse(run("status", "--json").stdout).peer_id, id);
  assert.equal(run("stop").status, 0);
  await page.locator(".banner.lost").waitFor();
  assert.equal(run("status").status, 3);
});

test("the desktop entry, its icon and the service of systemd are what they should be", options, async () => {
  const entry = path.join(root, "data/lanspread.desktop");
  const text = readFileSync(entry, "utf8");
  assert.match(text, /^Exec=lanspread$/m);
  assert.match(text, /^Icon=lanspread$/m);
  const check = spawnSync("desktop-file-validate", [entry], { encoding: "utf8" });
  if (!check.error) assert.equal(check.stdout + check.stderr, "");
  const unit = path.join(build, "data/lanspread.service");
  assert.match(readFileSync(unit, "utf8"), /^ExecStart=\/\S*lanspread run$/m);
  const fake = await fakeWith([]);
  const page = await open(fake.url);
  const icon = readFileSync(path.join(root, "data/lanspread.svg"), "utf8");
  const width = await page.evaluate(async (svg) => {
    const image = new Image();
    image.src = `data:image/svg+xml,${encodeURIComponent(svg)}`;
    await image.decode();
    return image.naturalWidth;
  }, icon);
  assert.ok(width > 0);
});

test("a build without node has a page that says what is missing", () => {
  const folder = mkdtempSync(path.join(tmpdir(), "lanspread-build-"));
  keep({ stop: () => rmSync(folder, { recursive: true, force: true }) });
  const output = path.join(folder, "page.c");
  const python = spawnSync("python3", ["-c", "import sys; print(sys.executable)"], { encoding: "utf8" }).stdout.trim();
  const words = [path.join(root, "web/build.py"), "--source", path.join(root, "web")];
  words.push("--output", output, "--depfile", path.join(folder, "page.d"));
  const env = { PATH: folder, XDG_CACHE_HOME: folder, HOME: folder };
  const result = spawnSync(python, words, { env, encoding: "utf8" });
  assert.equal(result.status, 0, result.stderr);
  assert.match(result.stderr, /the page is left out: This build found no node with npm/);
  const [, bytes] = /file_0\[\] = \{([\d,\s]*)\}/.exec(readFileSync(output, "utf8"));
  const html = Buffer.from(bytes.split(",").map(Number)).toString();
  assert.match(html, /lanspread is running, its page was not built/);
  assert.match(html, /This build found no node with npm/);
  assert.match(html, /Install <code>nodejs<\/code>/);
  const needed = spawnSync(python, [...words, "--need"], { env, encoding: "utf8" });
  assert.equal(needed.status, 1);
  assert.match(needed.stderr, /the page could not be built/);
});

test("a page on another address: said at the start, the token is needed, games start only at the machine", options, async (context) => {
  const address = Object.values(networkInterfaces()).flat().find((one) => one.family === "IPv4" && !one.internal)?.address;
  if (!address) return context.skip("this machine has no address but loopback");
  const me = keep(new Daemon("me"));
  me.http = "0.0.0.0:0";
  me.add("quake", "1.0", bytes(4096));
  await me.start();
  await until(() => me.errors.includes("other machines reach the page"), "it is said who reaches it");
  assert.ok(me.errors.includes(`:${new URL(me.url).port}/?token=`));
  const { port, search } = new URL(me.url);
  const from = (route, init = {}) => fetch(`http://${address}:${port}${route}`, init);
  assert.equal((await from("/api/games")).status, 401);
  const page = await open(`http://${address}:${port}/${search}`);
  await live(page);
  await mainButton(page, "quake").getByText("Install").click();
  await state(page, "none", "installed");
  assert.equal(await mainButton(page, "quake").isDisabled(), true); // "Play": not from here
  const headers = { Authorization: `Bearer ${new URLSearchParams(search).get("token")}`, "Content-Type": "application/json" };
  assert.equal((await from("/api/games/quake/play", { method: "POST", headers, body: "{}" })).status, 403);
});

test("what ends while nobody looks is notified, if that is allowed", async () => {
  const fake = await fakeWith([game("quake", { title: "Quake" }), game("doom", { title: "Doom" })]);
  const page = await open(fake.url);
  await page.evaluate(() => {
    window.told = [];
    window.Notification = class {
      static permission = "granted";
      static requestPermission = async () => "granted";
      constructor(title, options) {
        window.told.push({ title, ...options });
      }
    };
  });
  const hide = (hidden) =>
    page.evaluate((hidden) => Object.defineProperty(document, "hidden", { value: hidden, configurable: true }), hidden);
  await hide(true);
  await mainButton(page, "quake").click();
  await page.locator('.card[data-operation="downloading"]').waitFor();
  await fake.advance(9e9);
  await until(async () => (await page.evaluate(() => window.told.length)) === 1, "a notification");
  await fake.emit({ event: "install_failed", game: "quake", error: { code: "io", message: "the disk is broken" } });
  await until(async () => (await page.evaluate(() => window.told.length)) === 2, "another one");
  const told = await page.evaluate(() => window.told);
  assert.equal(told[0].title, "Quake is downloaded");
  assert.equal(told[0].icon, "/api/covers/quake");
  assert.equal(told[1].title, "Quake could not be installed");
  assert.equal(told[1].body, "the disk is broken");
  await hide(false);
  await mainButton(page, "doom").click();
  await page.locator('.card[data-operation="downloading"]').waitFor();
  await fake.advance(9e9);
  await page.locator(".toast").getByText("Doom is downloaded").waitFor();
  assert.equal(await page.evaluate(() => window.told.length), 2);
  await card(page, "doom").waitFor();
});
