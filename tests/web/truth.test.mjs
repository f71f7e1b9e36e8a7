// The page never shows a state that is not so: over reloads, cut streams, a peer that goes and comes.
import assert from "node:assert/strict";
import { test } from "node:test";
import { game } from "./lib/fake.mjs";
import { Proxy } from "./lib/proxy.mjs";
import { isSubsequence, numbers, record } from "./lib/record.mjs";
import { card, fakeWith, keep, live, mainButton, open, shown, until } from "./lib/suite.mjs";

for (const [operation, start] of Object.entries({
  downloading: { availability: "remote" },
  installing: { availability: "downloaded", local_version: "20240131" },
  updating: { availability: "installed", local_version: "20230101" },
})) {
  test(`a reload in the middle of ${operation} finds it as it was`, async () => {
    const fake = await fakeWith([game("quake", start)]);
    const page = await open(fake.url);
    await mainButton(page, "quake").click();
    await page.locator(`.card[data-operation="${operation}"]`).waitFor();
    await fake.advance(1e9);
    await card(page, "quake").getByText("25 %").waitFor();
    await page.reload();
    await page.locator(`.card[data-operation="${operation}"]`).waitFor();
    await card(page, "quake").getByText("25 %").waitFor();
    await fake.advance(9e9);
    await page.locator('.card[data-operation="none"]').waitFor();
  });
}

test("an end that happened while nobody listened leaves no spinner", async () => {
  const fake = await fakeWith([game("quake")]);
  const proxy = keep(await Proxy.start(fake.url));
  const page = await open(proxy.url);
  await mainButton(page, "quake").click();
  await page.locator('.card[data-operation="downloading"]').waitFor();
  proxy.cut();
  await fake.advance(9e9);
  await page.locator('.card[data-operation="none"][data-availability="downloaded"]').waitFor();
  await page.getByText("quake is downloaded").waitFor(); // the missed event is replayed
});

test("the stream is cut 20 times at random: nothing that was not so is ever shown", async () => {
  const fake = await fakeWith([game("quake")]);
  const proxy = keep(await Proxy.start(fake.url));
  const page = await open(proxy.url);
  await card(page, "quake").waitFor();
  await record(page, "quake");
  const happened = ["none/remote"];
  const truth = { operation: "none", availability: "remote" };
  const random = numbers(20240131);
  const post = async (action) => {
    const { origin, search } = new URL(fake.url);
    const token = new URLSearchParams(search).get("token");
    const reply = await fetch(`${origin}/api/games/quake/${action}`, {
      method: "POST",
      headers: { "Content-Type": "application/json", Authorization: `Bearer ${token}` },
      body: "{}",
    });
    assert.equal(reply.status, 200);
  };
  const ends = { downloading: "downloaded", installing: "installed", uninstalling: "downloaded" };
  const starts = { remote: "download", downloaded: "install", installed: "uninstall" };
  const names = { download: "downloading", install: "installing", uninstall: "uninstalling" };
  const step = async () => {
    if (truth.operation === "none") {
      const action = starts[truth.availability];
      await post(action);
      truth.operation = names[action];
    } else if (random(4) === 0) {
      await fake.advance(1000);
    } else {
      await fake.advance(9e9);
      truth.availability = ends[truth.operation];
      truth.operation = "none";
    }
    const state = `${truth.operation}/${truth.availability}`;
    if (happened.at(-1) !== state) happened.push(state);
  };
  for (let cut = 0; cut < 20; cut++) {
    for (let steps = random(4); steps >= 0; steps--) {
      await step();
      if (steps === 1) proxy.cut();
    }
    proxy.cut();
    await step();
    await live(page);
    await until(async () => {
      const is = await shown(page, "quake");
      return is.operation === truth.operation && is.availability === truth.availability;
    }, `the truth after cut ${cut + 1}: ${JSON.stringify(truth)}`);
  }
  const seen = await page.evaluate(() => window.seen);
  assert.ok(isSubsequence(seen, happened), `seen ${seen}\nhappened ${happened}`);
});

test("a peer that stops and comes back: the page says so, then is right again", async () => {
  const fake = await fakeWith([game("quake")]);
  const page = await open(fake.url);
  await mainButton(page, "quake").click();
  await page.locator('.card[data-operation="downloading"]').waitFor();
  const back = fake.do({ restart: 1500 });
  await page.locator(".banner.lost").getByText("Reconnecting").waitFor();
  assert.equal(await mainButton(page, "quake").isDisabled(), true);
  await back;
  await live(page);
  await page.locator(".banner.lost").waitFor({ state: "detached" });
  assert.deepEqual(await shown(page, "quake"), { operation: "downloading", availability: "remote" });
});

test("a failed runtime is named in words until the peer is back", async () => {
  const fake = await fakeWith([game("quake")]);
  const page = await open(fake.url);
  await card(page, "quake").waitFor();
  await fake.emit({ event: "runtime_failed", component: "quic", error: { code: "io", message: "the socket is gone" } });
  await page.locator(".banner.bad").getByText("“Connections to others” failed").waitFor();
  await page.locator(".banner.bad").getByText("the socket is gone").waitFor();
  await fake.do({ restart: 300 });
  await page.locator(".banner.bad").waitFor({ state: "detached" });
  await live(page);
});

test("what is degraded is shown", async () => {
  const fake = await fakeWith([game("quake")]);
  const page = await open(fake.url);
  await card(page, "quake").waitFor();
  await fake.do({ status: "health", value: { state: "degraded", degraded: ["discovery"] } });
  await fake.emit({ event: "health_changed", state: "degraded", degraded: ["discovery"] });
  await page.locator(".banner.warm").getByText("Others are not found by themselves").waitFor();
});

test("games of others come and go without a reload", async () => {
  const fake = await fakeWith([game("quake")]);
  const page = await open(fake.url);
  await card(page, "quake").waitFor();
  await fake.put(game("doom", { title: "Doom" }));
  await fake.emit({ event: "remote_games_updated", games: [], removed: [] });
  await card(page, "doom").waitFor();
});

test("without the start link there is no page", async () => {
  const fake = await fakeWith([]);
  const page = await open(new URL("/", fake.url).href);
  await page.getByText("This page needs its start link").waitFor();
});

test("the start link's token does not stay in the address bar", async () => {
  const fake = await fakeWith([]);
  const page = await open(fake.url);
  await live(page);
  assert.equal(new URL(page.url()).search, "");
});
