// The three languages: the same keys, the same blanks in each text, none left over and none missing.
import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import path from "node:path";
import { test } from "node:test";
import { root } from "./lib/paths.mjs";

const source = path.join(root, "web/src");

/** The texts of one language, by key. */
function words(language) {
  const text = readFileSync(path.join(source, `i18n/${language}.ts`), "utf8");
  const found = new Map();
  for (const [, key, value] of text.matchAll(/^ {2}(\w+):\s*"((?:[^"\\]|\\.)*)",$/gm)) {
    assert.ok(!found.has(key), `${language} has ${key} twice`);
    found.set(key, value);
  }
  const lines = text.split("\n").filter((line) => /^ {2}\w+:/.test(line)).length;
  assert.equal(found.size, lines, `${language} has an entry that is no plain text`);
  return found;
}

const all = { en: words("en"), de: words("de"), fr: words("fr") };

test("three languages have the same keys, and the same blanks in each text", () => {
  const keys = [...all.en.keys()].sort();
  assert.ok(keys.length > 200);
  for (const language of ["de", "fr"]) {
    assert.deepEqual([...all[language].keys()].sort(), keys, language);
    for (const key of keys) {
      const blanks = (text) => (text.match(/\{\w+\}/g) ?? []).sort().join();
      assert.equal(blanks(all[language].get(key)), blanks(all.en.get(key)), `${language}: ${key}`);
      assert.notEqual(all[language].get(key).trim(), "", `${language}: ${key}`);
    }
  }
});

function filesBelow(folder) {
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) =>
    entry.isDirectory() ? filesBelow(path.join(folder, entry.name)) : [path.join(folder, entry.name)],
  );
}

/** What the page's code says: its plain strings, and a pattern for each text with blanks. */
function spoken() {
  const strings = new Set();
  const patterns = [];
  for (const name of filesBelow(source)) {
    if (!/\.tsx?$/.test(name) || /i18n.(en|de|fr)\.ts$/.test(name)) continue;
    const text = readFileSync(name, "utf8");
    for (const [, string] of text.matchAll(/"(\w+)"/g)) strings.add(string);
    for (const [, key] of text.matchAll(/\b(\w+): \w/g)) strings.add(key);
    for (const [, template] of text.matchAll(/`([^`\n]*)`/g)) {
      const fixed = template.replace(/\$\{[^}]*\}/g, "");
      if (/^\w{3,}$/.test(fixed))
        patterns.push(new RegExp(`^${template.replace(/\$\{[^}]*\}/g, "\\w+")}$`));
    }
  }
  return { strings, patterns };
}

test("every text is used somewhere", () => {
  const { strings, patterns } = spoken();
  const unused = [...all.en.keys()].filter((key) => {
    const base = key.replace(/_(one|zero)$/, "");
    return !strings.has(key) && !strings.has(base) && !patterns.some((pattern) => pattern.test(key));
  });
  assert.deepEqual(unused, []);
});

test("what a text says to type is what the command takes", () => {
  for (const [language, texts] of Object.entries(all))
    assert.match(texts.get("no_peers_hint"), /lanspread run --peer \p{Lu}+:47777/u, language);
});
