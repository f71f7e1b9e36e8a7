import { createContext, useContext } from "react";
import { number } from "../format";
import { de } from "./de";
import { en, type Key, type Words } from "./en";
import { fr } from "./fr";

export type { Key } from "./en";

export const languages = { en: "English", de: "Deutsch", fr: "Français" } as const;
export type Language = keyof typeof languages;

const words: Record<Language, Words> = { en, de, fr };
const isLanguage = (value: string): value is Language => value in languages;

/** The person's choice, else the first of the browser's languages that we speak. */
export function preferredLanguage(): Language {
  const choice = localStorage.getItem("language") ?? "";
  if (isLanguage(choice)) return choice;
  for (const tag of navigator.languages) {
    const language = tag.slice(0, 2);
    if (isLanguage(language)) return language;
  }
  return "en";
}

export type Values = Record<string, string | number>;

export interface Translation {
  language: Language;
  t: (key: Key, values?: Values) => string;
  /** key, key_one or key_zero by the number, which is {n}. */
  many: (key: Key, n: number) => string;
  /** A key that comes from an event; the key itself where there are no words for it. */
  maybe: (key: string, values?: Values) => string;
}

function fill(text: string, values: Values | undefined): string {
  return text.replace(/\{(\w+)\}/g, (whole, name: string) => String(values?.[name] ?? whole));
}

export function translation(language: Language): Translation {
  const table = words[language];
  const maybe = (key: string, values?: Values): string =>
    fill(key in table ? table[key as Key] : key, values);
  const many = (key: Key, n: number): string => {
    const special = n === 0 ? `${key}_zero` : n === 1 ? `${key}_one` : key;
    return maybe(special in table ? special : key, { n: number(n, language) });
  };
  return { language, t: maybe, many, maybe };
}

export const TranslationContext = createContext<Translation>(translation("en"));
export const useTranslation = (): Translation => useContext(TranslationContext);
