// What every test file shares: a fake peer and a page for each test, and none left behind.
import assert from "node:assert/strict";
import { after, afterEach } from "node:test";
import * as browser from "./browser.mjs";
import { Fake } from "./fake.mjs";

export { card, mainButton } from "./browser.mjs";

let fakes = [];
let pages = [];
let others = [];

export async function fakeWith(games) {
  const fake = await Fake.start();
  fakes.push(fake);
  for (const game of games) await fake.put(game);
  return fake;
}

export async function open(url, options) {
  const page = await browser.open(url, options);
  pages.push(page);
  return page;
}

/** Something with a stop() that must not outlive the test. */
export function keep(other) {
  others.push(other);
  return other;
}

afterEach(async () => {
  const faults = pages.flatMap((page) => page.faults);
  for (const page of pages) await page.context().close();
  for (const other of others.reverse()) await other.stop();
  for (const fake of fakes) await fake.stop();
  [fakes, pages, others] = [[], [], []];
  assert.deepEqual(faults, [], "the page got something wrong");
});

after(() => browser.close());

/** Waits until `check` gives true; the event loop turns between two looks. */
export async function until(check, what, milliseconds = 30_000) {
  const end = Date.now() + milliseconds;
  while (!(await check())) {
    assert.ok(Date.now() < end, `never happened: ${what}`);
    await new Promise((resolve) => setImmediate(resolve));
  }
}

/** What a card says of its game. */
export async function shown(page, id) {
  const card = browser.card(page, id);
  return {
    operation: await card.getAttribute("data-operation"),
    availability: await card.getAttribute("data-availability"),
  };
}

export const live = (page) => page.locator(".who.live").waitFor();
