// A game's picture. Posters are drawn by the browser's main thread: while the shelf rushes by nobody
// sees them, so what comes into being then gets its picture when the rush is over.

import { useRef, useSyncExternalStore } from "react";
import { coverPath } from "../api";

const FAST = 1.5; // pixels a millisecond
const REST = 90; // milliseconds without scrolling

let rushing = false;
let last = { at: 0, y: 0 };
let timer: ReturnType<typeof setTimeout> | undefined;
const listeners = new Set<() => void>();

function set(value: boolean): void {
  if (value === rushing) return;
  rushing = value;
  for (const listener of listeners) listener();
}

window.addEventListener(
  "scroll",
  () => {
    const now = { at: performance.now(), y: window.scrollY };
    const speed = Math.abs(now.y - last.y) / Math.max(1, now.at - last.at);
    last = now;
    if (speed > FAST) set(true);
    clearTimeout(timer);
    timer = setTimeout(() => set(false), REST);
  },
  { passive: true },
);

function subscribe(listener: () => void): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

export function Cover({ game }: { game: string }) {
  const waits = useSyncExternalStore(subscribe, () => rushing);
  const shown = useRef(false);
  if (!waits) shown.current = true;
  if (!shown.current) return null;
  return <img src={coverPath(game)} alt="" loading="lazy" decoding="async" draggable={false} />;
}
