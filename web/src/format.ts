import type { Game } from "./types";

const formats = new Map<string, Intl.NumberFormat>();

/** Making a number's format takes longer than using it a hundred times: each is made once. */
export function number(value: number, locale: string, digits = 0): string {
  const key = `${locale}/${digits}`;
  let format = formats.get(key);
  if (!format) {
    format = new Intl.NumberFormat(locale, { maximumFractionDigits: digits });
    formats.set(key, format);
  }
  return format.format(value);
}

/** Decimal units, as the command line has them; in French a byte is an octet. */
const UNITS = ["B", "kB", "MB", "GB", "TB"];
const OCTETS = ["o", "ko", "Mo", "Go", "To"];

export function bytes(value: number | null | undefined, locale: string): string {
  if (value === null || value === undefined) return "–";
  const units = locale.startsWith("fr") ? OCTETS : UNITS;
  let unit = 0;
  let amount = value;
  while (amount >= 1000 && unit < units.length - 1) {
    amount /= 1000;
    unit++;
  }
  const digits = unit === 0 || amount >= 100 ? 0 : 1;
  return `${number(amount, locale, digits)} ${units[unit] ?? ""}`;
}

export const rate = (value: number, locale: string): string => `${bytes(value, locale)}/s`;

export function duration(seconds: number): string {
  const whole = Math.max(0, Math.round(seconds));
  const pad = (value: number): string => String(value).padStart(2, "0");
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return `${Math.floor(whole / 60)}:${pad(whole % 60)} min`;
  return `${Math.floor(whole / 3600)}:${pad(Math.floor((whole % 3600) / 60))} h`;
}

export function hasUpdate(game: Game): boolean {
  return (
    game.local_version !== null &&
    game.latest_version !== null &&
    game.local_version !== game.latest_version
  );
}

/** The browser's own variant of a language: "en" alone would write dates as in America. */
const regional = (language: string): string =>
  navigator.languages.find((tag) => tag.split("-")[0] === language) ?? language;

/** A version that is a date reads as one. */
export function version(value: string | null, locale: string): string {
  const date = /^(\d{4})(\d{2})(\d{2})$/.exec(value ?? "");
  if (!date) return value ?? "–";
  const when = new Date(Number(date[1]), Number(date[2]) - 1, Number(date[3]));
  return when.toLocaleDateString(regional(locale), { dateStyle: "medium" });
}

/** A service by what it is for; its own name where there are no words for it. */
export function serviceName(maybe: (key: string) => string, name: string): string {
  const key = `service_${name.replaceAll("-", "_")}`;
  const words = maybe(key);
  return words === key ? name : words;
}

/** "250M" and the like, as `lanspread limits` takes them; null for what is none. */
export function parseRate(value: string): number | null {
  const match = /^\s*(\d+(?:[.,]\d+)?)\s*([kmg]?)[bo]?(?:\/s)?\s*$/i.exec(value);
  if (!match?.[1]) return value.trim() === "" ? 0 : null;
  const factor = { "": 1, k: 1e3, m: 1e6, g: 1e9 }[(match[2] ?? "").toLowerCase()] ?? 1;
  return Math.round(Number(match[1].replace(",", ".")) * factor);
}

export function showRate(value: number): string {
  if (value === 0) return "";
  for (const [unit, factor] of [["G", 1e9], ["M", 1e6], ["K", 1e3]] as const) {
    if (value >= factor && value % (factor / 1000) === 0) return `${value / factor} ${unit}`;
  }
  return String(value);
}
