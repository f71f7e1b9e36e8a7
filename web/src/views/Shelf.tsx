import { useDeferredValue, useEffect, useMemo, useRef, useState } from "react";
import type { Action } from "../actions";
import { hasUpdate } from "../format";
import { useTranslation, type Key } from "../i18n";
import { Grid } from "../parts/Grid";
import { Icon } from "../parts/Icon";
import { useStore } from "../store";
import type { Game } from "../types";

const filters = ["all", "installed", "downloaded", "updates", "on_lan"] as const;
type Filter = (typeof filters)[number];
const filterName: Record<Filter, Key> = {
  all: "all",
  installed: "filter_installed",
  downloaded: "filter_downloaded",
  updates: "updates",
  on_lan: "on_lan",
};
const sorts = ["sort_title", "sort_state", "sort_sources", "sort_size", "sort_release"] as const;
type Sort = (typeof sorts)[number];

interface Search {
  text: string;
  filter: Filter;
  genre: string;
  players: number;
  sort: Sort;
}

const isInstalled = (game: Game): boolean =>
  game.availability === "installed" || game.availability === "local_only";

const passes: Record<Filter, (game: Game) => boolean> = {
  all: () => true,
  installed: isInstalled,
  downloaded: (game) => game.availability === "downloaded" || game.availability === "installed",
  updates: hasUpdate,
  on_lan: (game) => game.sources > 0,
};

const rank = (game: Game): number => {
  if (game.operation !== "none") return 0;
  const order = { installed: 1, local_only: 1, downloaded: 2, remote: 3, unavailable: 4 };
  return order[game.availability];
};

/** In the catalogue, and nobody has it or waits for it. */
const isOnlyKnown = (game: Game): boolean => rank(game) === 4;

type Compare = (a: Game, b: Game) => number;
const compare: Record<Sort, Compare> = {
  sort_title: () => 0,
  sort_state: (a, b) => rank(a) - rank(b),
  sort_sources: (a, b) => b.sources - a.sources,
  sort_size: (a, b) => (b.size ?? 0) - (a.size ?? 0),
  sort_release: (a, b) => (b.release ?? "").localeCompare(a.release ?? ""),
};

interface Entry {
  game: Game;
  key: string; // what the search looks at
}

const fold = (text: string): string =>
  text.normalize("NFKD").replace(/\p{M}/gu, "").toLowerCase();

/** Keys are made once for each title: folding thousands of them at every key press is slow. */
const keys = new Map<string, string>();
function keyOf(game: Game): string {
  const text = `${game.title} ${game.id} ${game.publisher ?? ""} ${game.genre ?? ""}`;
  let key = keys.get(text);
  if (key === undefined) {
    key = fold(text);
    keys.set(text, key);
  }
  return key;
}

function choose(entries: readonly Entry[], search: Search): Game[] {
  const words = fold(search.text).split(/\s+/).filter(Boolean);
  const found: Game[] = [];
  for (const { game, key } of entries) {
    if (!passes[search.filter](game)) continue;
    if (search.genre && game.genre !== search.genre) continue;
    if (search.players && (game.max_players ?? 0) < search.players) continue;
    if (words.every((word) => key.includes(word))) found.push(game);
  }
  if (search.sort !== "sort_title") return found.sort(compare[search.sort]);
  /* A party looks for what can be had; the catalogue's other games come after it. */
  return [...found.filter((game) => !isOnlyKnown(game)), ...found.filter(isOnlyKnown)];
}

interface ToolbarProps {
  search: Search;
  genres: readonly string[];
  counts: Record<Filter, number>;
  found: number;
  onChange: (patch: Partial<Search>) => void;
}

function Toolbar({ search, genres, counts, found, onChange }: ToolbarProps) {
  const { t, many } = useTranslation();
  const input = useRef<HTMLInputElement>(null);
  useEffect(() => {
    const focus = (event: KeyboardEvent): void => {
      const field = event.target instanceof Element && event.target.closest("input, select, textarea, dialog");
      if (event.key !== "/" || field) return;
      event.preventDefault();
      input.current?.focus();
    };
    window.addEventListener("keydown", focus);
    return () => window.removeEventListener("keydown", focus);
  }, []);
  return (
    <div className="toolbar" role="search">
      <div className="search">
        <Icon name="search" />
        <input
          ref={input}
          type="search"
          value={search.text}
          placeholder={t("search_hint")}
          aria-label={t("search")}
          onChange={(event) => onChange({ text: event.target.value })}
          onKeyDown={(event) => {
            if (event.key === "Escape") onChange({ text: "" });
          }}
        />
      </div>
      <div className="chips" role="group" aria-label={t("filter")}>
        {filters.map((filter) => (
          <button
            type="button"
            key={filter}
            className="chip"
            aria-pressed={search.filter === filter}
            onClick={() => onChange({ filter })}
          >
            {t(filterName[filter])} <span className="count">{counts[filter]}</span>
          </button>
        ))}
      </div>
      <div className="selects">
        <select
          aria-label={t("genre")}
          value={search.genre}
          onChange={(event) => onChange({ genre: event.target.value })}
        >
          <option value="">{t("any_genre")}</option>
          {genres.map((genre) => (
            <option key={genre}>{genre}</option>
          ))}
        </select>
        <select
          aria-label={t("players")}
          value={search.players}
          onChange={(event) => onChange({ players: Number(event.target.value) })}
        >
          <option value={0}>{t("any_players")}</option>
          {[2, 4, 8, 16, 32].map((n) => (
            <option key={n} value={n}>
              {t("players_from", { n })}
            </option>
          ))}
        </select>
        <select
          aria-label={t("sort")}
          value={search.sort}
          onChange={(event) => onChange({ sort: event.target.value as Sort })}
        >
          {sorts.map((sort) => (
            <option key={sort} value={sort}>
              {t("labelled", { name: t("sort"), state: t(sort) })}
            </option>
          ))}
        </select>
        <output className="found">{many("count", found)}</output>
      </div>
    </div>
  );
}

function useEntries(): Entry[] {
  const games = useStore((state) => state.games);
  const { language } = useTranslation();
  const collator = useMemo(() => new Intl.Collator(language, { numeric: true }), [language]);
  const order = useRef<{ titles: string; ids: string[] }>({ titles: "", ids: [] });
  return useMemo(() => {
    // Sorting 5,000 titles takes 20 ms; states change often and titles hardly ever.
    const titles = [...games.values()].map((game) => `${game.id}\n${game.title}`).join("\n");
    if (order.current.titles !== titles) {
      const sorted = [...games.values()].sort(
        (a, b) => collator.compare(a.title, b.title) || (a.id < b.id ? -1 : 1),
      );
      order.current = { titles, ids: sorted.map((game) => game.id) };
    }
    const entries: Entry[] = [];
    for (const id of order.current.ids) {
      const game = games.get(id);
      if (game) entries.push({ game, key: keyOf(game) });
    }
    return entries;
  }, [games, collator]);
}

function count(entries: readonly Entry[]): Record<Filter, number> {
  const counts = { all: 0, installed: 0, downloaded: 0, updates: 0, on_lan: 0 };
  for (const { game } of entries)
    for (const filter of filters) if (passes[filter](game)) counts[filter]++;
  return counts;
}

function Empty({ filtered }: { filtered: boolean }) {
  const { t } = useTranslation();
  const loaded = useStore((state) => state.loaded);
  if (!loaded) return <p className="empty">{t("loading")}</p>;
  return (
    <div className="empty">
      <Icon name="shelf" />
      <h2>{t(filtered ? "no_match" : "no_games")}</h2>
      <p>{t(filtered ? "no_match_hint" : "no_games_hint")}</p>
    </div>
  );
}

interface Props {
  onOpen: (id: string) => void;
  onChoose: (id: string, action: Action) => void;
}

const nothing: Search = { text: "", filter: "all", genre: "", players: 0, sort: "sort_title" };

export function Shelf(props: Props) {
  const [search, setSearch] = useState<Search>(nothing);
  const entries = useEntries();
  const deferred = useDeferredValue(search);
  const genres = useMemo(
    () => [...new Set(entries.map(({ game }) => game.genre ?? ""))].filter(Boolean).sort(),
    [entries],
  );
  const counts = useMemo(() => count(entries), [entries]);
  const found = useMemo(() => choose(entries, deferred), [entries, deferred]);
  return (
    <>
      <Toolbar
        search={search}
        genres={genres}
        counts={counts}
        found={found.length}
        onChange={(patch) => {
          setSearch({ ...search, ...patch });
          window.scrollTo({ top: 0 });
        }}
      />
      {found.length > 0 ? <Grid games={found} {...props} /> : <Empty filtered={entries.length > 0} />}
    </>
  );
}
