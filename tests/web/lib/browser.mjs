// Debian's Chromium, alone: a profile of its own, and no way to anywhere but this machine.
import { networkInterfaces } from "node:os";
import { chromium } from "playwright-core";

const own = Object.values(networkInterfaces())
  .flat()
  .filter((one) => one.family === "IPv4")
  .map((one) => `EXCLUDE ${one.address}`);

const flags = [
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
  `--host-resolver-rules=${["MAP * ~NOTFOUND", "EXCLUDE localhost", ...own].join(", ")}`,
];

let browser = null;

export async function launch() {
  browser ??= await chromium.launch({
    executablePath: process.env.LANSPREAD_CHROMIUM ?? "/usr/bin/chromium",
    headless: true,
    args: flags,
  });
  return browser;
}

export async function close() {
  await browser?.close();
  browser = null;
}

/**
 * A page of its own context, opened by the start link. What the page itself gets wrong (an exception,
 * a violation of its content security policy) is in `page.faults`.
 */
export async function open(url, options = {}) {
  const context = await (await launch()).newContext({
    viewport: { width: 1440, height: 900 },
    colorScheme: "dark",
    locale: "en-GB",
    reducedMotion: "reduce",
    ...options,
  });
  const page = await context.newPage();
  page.setDefaultTimeout(30_000);
  page.faults = [];
  page.on("pageerror", (error) => page.faults.push(String(error)));
  page.on("console", (message) => {
    if (/content security policy/i.test(message.text())) page.faults.push(message.text());
  });
  await page.goto(url);
  return page;
}

export const card = (page, id) => page.locator(`.card[data-game="${id}"]`);
export const mainButton = (page, id) => card(page, id).locator(".main");
