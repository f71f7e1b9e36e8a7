// The real daemon's server against those who should not get in, and those who only take room.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import http from "node:http";
import net from "node:net";
import path from "node:path";
import { test } from "node:test";
import { binary, bytes, Daemon, options } from "./lib/daemon.mjs";
import { build, here, root } from "./lib/paths.mjs";
import { keep, until } from "./lib/suite.mjs";

async function alone() {
  const me = keep(new Daemon("me"));
  me.add("quake", "1.0", bytes(4096));
  await me.start();
  await until(() => me.game("quake")?.operation === "none" && me.game("quake").content, "the game is hashed");
  const { hostname, port, search } = new URL(me.url);
  me.token = new URLSearchParams(search).get("token");
  /** A request with any headers at all; gives its status and its JSON. */
  me.ask = (method, route, headers = {}, body) =>
    new Promise((resolve, reject) => {
      const request = http.request({ hostname, port, method, path: route, headers, agent: false }, (reply) => {
        let text = "";
        reply.on("data", (data) => (text += data));
        reply.on("end", () => resolve({ status: reply.statusCode, text, headers: reply.headers }));
      });
      request.on("error", reject);
      request.end(body);
    });
  me.mine = { Authorization: `Bearer ${me.token}` };
  me.json = { ...me.mine, "Content-Type": "application/json" };
  return me;
}

const errorOf = (reply) => JSON.parse(reply.text).error;

test("a foreign Host is refused even with the token: DNS rebinding", options, async () => {
  const me = await alone();
  for (const host of ["evil.example", "evil.example:47777", "127.0.0.1.evil.example", "[::2]"]) {
    const reply = await me.ask("GET", "/api/games", { ...me.mine, Host: host });
    assert.equal(reply.status, 403, host);
    assert.equal(errorOf(reply).where, "header.Host");
  }
  assert.equal((await me.ask("GET", "/api/games", { ...me.mine, Host: `localhost:${new URL(me.url).port}` })).status, 200);
});

test("another origin, another site and a form change nothing", options, async () => {
  const me = await alone();
  const refused = [
    [{ ...me.json, Origin: "http://evil.example" }, "{}"],
    [{ ...me.json, Origin: "null" }, "{}"],
    [{ ...me.json, "Sec-Fetch-Site": "cross-site" }, "{}"],
    [{ ...me.mine, "Content-Type": "application/x-www-form-urlencoded" }, "a=b"],
    [{ ...me.mine, "Content-Type": "text/plain" }, "{}"],
    [{ ...me.mine, "Content-Type": "multipart/form-data; boundary=x" }, "--x--"],
    [me.mine, ""],
  ];
  for (const [headers, body] of refused) {
    const reply = await me.ask("POST", "/api/games/quake/install", headers, body);
    assert.equal(reply.status, 403, JSON.stringify(headers));
    assert.equal(errorOf(reply).code, "denied");
  }
  assert.equal(me.game("quake").availability, "downloaded");
});

test("without the token there is nothing but the page's own files", options, async () => {
  const me = await alone();
  for (const route of ["/api/games", "/api/status", "/api/events", "/api/covers/quake", "/metrics", "/api/config"])
    assert.equal((await me.ask("GET", route)).status, 401, route);
  assert.equal((await me.ask("POST", "/api/games/quake/install", { "Content-Type": "application/json" }, "{}")).status, 401);
  assert.equal((await me.ask("GET", "/api/games", { Authorization: `Bearer ${"0".repeat(64)}` })).status, 401);
  assert.equal((await me.ask("GET", "/icon.svg")).status, 200);
  const page = await me.ask("GET", "/");
  assert.ok(!page.text.includes(me.token));
  assert.match(page.headers["content-security-policy"], /default-src 'none'|default-src 'self'/);
});

test("GET changes nothing on any path", options, async () => {
  const me = await alone();
  const table = readFileSync(new URL("../../docs/api.yaml", import.meta.url), "utf8");
  const paths = [...table.matchAll(/^ {2}(\/api\/\S+):$/gm)].map(([, route]) => route);
  assert.ok(paths.length > 40);
  const before = JSON.stringify([me.game("quake"), JSON.parse(me.cli("config", "--json")), JSON.parse(me.cli("limits", "--json"))]);
  for (const pattern of paths) {
    if (pattern === "/api/events") continue;
    const route = pattern.replace("{id}", "quake").replace("{key}", "name");
    const { status } = await me.ask("GET", route, me.mine);
    assert.ok(status !== 500, `${route}: ${status}`);
  }
  const after = JSON.stringify([me.game("quake"), JSON.parse(me.cli("config", "--json")), JSON.parse(me.cli("limits", "--json"))]);
  assert.equal(after, before);
});

test("paths that climb are nowhere, and a megabyte of headers is refused", options, async () => {
  const me = await alone();
  for (const route of ["/..%2f..%2fetc/passwd", "/assets/..%2f..%2f..%2fetc%2fpasswd", "/api/games/..%2f..", "/assets/%2e%2e/%2e%2e/etc/passwd", "/api/covers/..%2f..%2fetc%2fpasswd", "/assets/%00"])
    assert.equal((await me.ask("GET", route, me.mine)).status, 404, route);
  const { hostname, port } = new URL(me.url);
  const answer = await new Promise((resolve) => {
    let text = "";
    const socket = net.connect(Number(port), hostname, () => {
      socket.write(`GET /api/games HTTP/1.1\r\nHost: ${hostname}:${port}\r\nX-Big: `);
      socket.write("a".repeat(1 << 20));
      socket.write("\r\n\r\n");
    });
    socket.on("data", (data) => (text += data));
    socket.on("error", () => undefined); // it is cut off in the middle of it
    socket.on("close", () => resolve(text));
  });
  assert.match(answer, /^$|^HTTP\/1\.1 4\d\d /);
  assert.equal((await me.ask("GET", "/api/games", me.mine)).status, 200);
});

test("docs/api.yaml holds for every route of a real daemon", options, (context) => {
  const fake = path.join(build, "tests/unit/http/fake-server");
  const words = [path.join(here, "check_api.py"), fake, path.join(root, "docs/api.yaml"), binary];
  const result = spawnSync("python3", words, { encoding: "utf8" });
  if (result.status === 77) return context.skip(result.stdout.trim());
  assert.equal(result.status, 0, result.stdout + result.stderr);
});

const memoryOf = (pid) => Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, "utf8"))[1]) * 1024;

test("1,000 event clients that never read cost bounded memory, and others are served", options, async () => {
  const me = await alone();
  const { hostname, port } = new URL(me.url);
  const before = memoryOf(me.pid);
  const sockets = [];
  keep({ stop: () => sockets.forEach((socket) => socket.destroy()) });
  for (let number = 0; number < 1000; number++) {
    const socket = net.connect(Number(port), hostname);
    sockets.push(socket);
    socket.on("error", () => undefined); // refused ones are part of it
    socket.pause();
    socket.write(`GET /api/events HTTP/1.1\r\nHost: ${hostname}:${port}\r\nAuthorization: Bearer ${me.token}\r\n\r\n`);
  }
  // Each of these is some kilobytes of events for every one of them.
  for (let round = 0; round < 20; round++) {
    for (const action of ["install", "uninstall"]) {
      assert.equal((await me.ask("POST", `/api/games/quake/${action}`, me.json, "{}")).status, 200);
      await until(() => me.game("quake").operation === "none", `${action} ends`);
    }
  }
  const reply = await me.ask("GET", "/api/games", me.mine);
  assert.equal(reply.status, 200);
  const grown = memoryOf(me.pid) - before;
  console.log(`1,000 clients that never read: ${Math.round(grown / 1024 / 1024)} MiB`);
  assert.ok(grown < 100 << 20, `${grown} bytes`);
});
