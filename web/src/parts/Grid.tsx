// A grid of thousands of cards: only the rows in sight are there, between two spacers.

import {
  useCallback,
  useEffect,
  useLayoutEffect,
  useRef,
  useState,
  type KeyboardEvent,
} from "react";
import { useTranslation } from "../i18n";
import type { Game } from "../types";
import { Card, type CardHandlers } from "./Card";

const GAP = 22;
const TEXT_HEIGHT = 128; // under the cover: title, facts, button, the board
const OVERSCAN = 1;

interface Layout {
  columns: number;
  width: number;
  height: number; // of a row, with its gap
}

function layoutFor(width: number): Layout {
  const smallest = width < 480 ? 138 : width < 900 ? 158 : 176;
  const columns = Math.max(2, Math.floor((width + GAP) / (smallest + GAP)));
  const card = (width - GAP * (columns - 1)) / columns;
  return { columns, width: card, height: Math.round(card * 1.5 + TEXT_HEIGHT + GAP) };
}

export function Grid({ games, ...handlers }: { games: readonly Game[] } & CardHandlers) {
  const { t } = useTranslation();
  const root = useRef<HTMLUListElement>(null);
  const [layout, setLayout] = useState<Layout>(() => layoutFor(window.innerWidth - 48));
  const [rows, setRows] = useState({ first: 0, last: 6 });
  const focusNext = useRef<number | null>(null);
  const count = Math.ceil(games.length / layout.columns);

  const measure = useCallback(() => {
    const top = root.current?.getBoundingClientRect().top ?? 0;
    const first = Math.max(0, Math.floor(-top / layout.height) - OVERSCAN);
    const last = Math.ceil((window.innerHeight - top) / layout.height) + OVERSCAN;
    setRows((old) => (old.first === first && old.last === last ? old : { first, last }));
  }, [layout.height]);

  useLayoutEffect(() => {
    const element = root.current;
    if (!element) return;
    const observer = new ResizeObserver(() => {
      const next = layoutFor(element.clientWidth);
      setLayout((old) => (old.columns === next.columns && old.width === next.width ? old : next));
    });
    observer.observe(element);
    return () => observer.disconnect();
  }, []);

  useEffect(() => {
    measure();
    window.addEventListener("scroll", measure, { passive: true });
    window.addEventListener("resize", measure);
    return () => {
      window.removeEventListener("scroll", measure);
      window.removeEventListener("resize", measure);
    };
  }, [measure, games.length]);

  useEffect(() => {
    if (focusNext.current === null) return;
    const target = root.current?.querySelector<HTMLElement>(`[data-index="${focusNext.current}"]`);
    if (target) {
      focusNext.current = null;
      target.focus({ preventScroll: true });
      target.scrollIntoView({ block: "nearest" });
    }
  });

  const onKeyDown = (event: KeyboardEvent): void => {
    const at = (event.target as HTMLElement).dataset["index"];
    const steps: Record<string, number> = {
      ArrowRight: 1,
      ArrowLeft: -1,
      ArrowDown: layout.columns,
      ArrowUp: -layout.columns,
      Home: -Infinity,
      End: Infinity,
    };
    const step = steps[event.key];
    if (at === undefined || step === undefined) return;
    event.preventDefault();
    const next = Math.min(games.length - 1, Math.max(0, Number(at) + step));
    focusNext.current = next;
    const top = (root.current?.getBoundingClientRect().top ?? 0) + window.scrollY;
    const row = Math.floor(next / layout.columns) * layout.height;
    const visible = row + top >= window.scrollY && row + top + layout.height <= window.scrollY + window.innerHeight;
    if (!visible) window.scrollTo({ top: top + row - window.innerHeight / 3 });
    setRows((old) => ({ ...old }));
  };

  const first = Math.min(rows.first, Math.max(0, count - 1));
  const last = Math.min(rows.last, count);
  const visible = games.slice(first * layout.columns, last * layout.columns);
  return (
    <ul
      className="grid"
      ref={root}
      aria-label={t("games")}
      onKeyDown={onKeyDown}
      style={{
        paddingTop: first * layout.height,
        paddingBottom: Math.max(0, count - last) * layout.height,
        gridTemplateColumns: `repeat(${layout.columns}, minmax(0, 1fr))`,
        gridAutoRows: layout.height - GAP,
        gap: GAP,
      }}
    >
      {visible.map((game, offset) => (
        <Card
          key={game.id}
          game={game}
          index={first * layout.columns + offset}
          total={games.length}
          {...handlers}
        />
      ))}
    </ul>
  );
}
