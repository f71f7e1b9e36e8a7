// What the page knows, and how events change it.
//
// One rule keeps it true: what is here and what runs is only ever taken from events, in their order;
// a `local_games_updated` carries the authoritative set of operations and replaces what was believed.
// The list of games may be fetched besides; it travels another way and may be ahead of the events or
// behind them, so it brings what others have and what the catalogue says, nothing else.

import { useSyncExternalStore } from "react";
import { get } from "./api";
import type { Game, Operation, Peer, PeerEvent, Progress, Status } from "./types";

export type Connection = "connecting" | "live" | "lost" | "locked";

export interface Toast {
  id: number;
  kind: "good" | "bad" | "info";
  key: string;
  game?: string;
  title?: string;
  text?: string;
}

export interface Failure {
  what: string;
  code: string;
  message: string;
}

export interface Sample {
  up: number;
  down: number;
}

export interface State {
  connection: Connection;
  loaded: boolean;
  games: ReadonlyMap<string, Game>;
  progress: ReadonlyMap<string, Progress>;
  failures: ReadonlyMap<string, Failure>;
  status: Status | null;
  peers: readonly Peer[];
  samples: readonly Sample[];
  toasts: readonly Toast[];
  crash: { component: string; error: string } | null;
}

const SAMPLES = 90;

let state: State = {
  connection: "connecting",
  loaded: false,
  games: new Map(),
  progress: new Map(),
  failures: new Map(),
  status: null,
  peers: [],
  samples: [],
  toasts: [],
  crash: null,
};
const listeners = new Set<() => void>();
let nextToast = 1;

function change(patch: Partial<State>): void {
  state = { ...state, ...patch };
  for (const listener of listeners) listener();
}

function subscribe(listener: () => void): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

/** A part of the state; the selector must give the same object while nothing in it changed. */
export function useStore<T>(select: (state: State) => T): T {
  return useSyncExternalStore(subscribe, () => select(state));
}

export const currentState = (): State => state;

export function setConnection(connection: Connection): void {
  if (connection !== state.connection) change({ connection });
}

// ---- Toasts ----------------------------------------------------------------------------------------

type Listener = (toast: Toast) => void;
let onToast: Listener = () => undefined;

/** Called for each toast about something that ended; for notifications. */
export function setToastListener(listener: Listener): void {
  onToast = listener;
}

export function toast(item: Omit<Toast, "id">): void {
  const added = { ...item, id: nextToast++ };
  change({ toasts: [...state.toasts, added].slice(-4) });
  setTimeout(() => dismiss(added.id), item.kind === "bad" ? 12000 : 5000);
  onToast(added);
}

export function dismiss(id: number): void {
  if (state.toasts.some((item) => item.id === id))
    change({ toasts: state.toasts.filter((item) => item.id !== id) });
}

export function clearFailure(game: string): void {
  if (!state.failures.has(game)) return;
  const failures = new Map(state.failures);
  failures.delete(game);
  change({ failures });
}

// ---- Games -----------------------------------------------------------------------------------------

function applyOperations(games: Map<string, Game>, operations: readonly Operation[]): void {
  const running = new Map(operations.map((item) => [item.game, item.operation]));
  for (const game of games.values()) {
    // Hashing goes on in the background and guards nothing: the game itself says it.
    const idle = game.operation === "hashing" ? "hashing" : "none";
    const operation = running.get(game.id) ?? idle;
    if (game.operation !== operation)
      games.set(game.id, {
        ...game,
        operation,
        progress: operation === "none" ? null : game.progress,
        waiting: operation === "none" ? false : game.waiting,
      });
  }
}

/** Progress is told by its events; a list brings the last known one of what runs. */
function progressOf(games: ReadonlyMap<string, Game>): Map<string, Progress> {
  const progress = new Map<string, Progress>();
  for (const game of games.values()) {
    if (game.operation === "none") continue;
    const known = state.progress.get(game.id);
    const listed = game.progress;
    const same = known && listed && known.total === listed.total && known.done >= listed.done;
    const latest = same ? known : (listed ?? known);
    if (latest) progress.set(game.id, latest);
  }
  return progress;
}

function takeState(list: readonly Game[], operations: readonly Operation[]): void {
  const games = new Map(list.map((game) => [game.id, game]));
  applyOperations(games, operations);
  change({ games, progress: progressOf(games), loaded: true, connection: "live", crash: null });
}

const isLocal = (game: Game): boolean =>
  game.availability !== "remote" && game.availability !== "unavailable";

/** The event has every game with a folder here: one that it no longer has lost its folder. */
function takeLocal(list: readonly Game[], operations: readonly Operation[]): void {
  const games = new Map(state.games);
  const here = new Set(list.map((game) => game.id));
  for (const game of games.values()) {
    if (here.has(game.id) || !isLocal(game)) continue;
    const availability = game.sources > 0 ? "remote" : "unavailable";
    games.set(game.id, { ...game, availability, local_version: null, problem: null, damaged: false });
  }
  for (const game of list) games.set(game.id, { ...games.get(game.id), ...game });
  applyOperations(games, operations);
  change({ games, progress: progressOf(games) });
}

function takeRemote(list: readonly Game[], removed: readonly string[]): void {
  const games = new Map(state.games);
  for (const id of removed) {
    const game = games.get(id);
    if (game && !isLocal(game) && game.operation === "none") games.delete(id);
  }
  for (const game of list) {
    const known = games.get(game.id);
    const operation = known?.operation ?? "none";
    games.set(game.id, { ...known, ...game, operation });
  }
  change({ games });
}

/** A fetched list: what is here and what runs stays as the events told it. */
function takeList(list: readonly Game[]): void {
  const games = new Map<string, Game>();
  for (const game of list) {
    const known = state.games.get(game.id);
    if (!known) {
      games.set(game.id, { ...game, operation: "none", progress: null, waiting: false });
      continue;
    }
    const { operation, progress, waiting, local_version, content, size, problem } = known;
    const { paused = false, damaged = false } = known;
    const local = isLocal(known) || isLocal(game) || operation !== "none";
    const availability = local ? known.availability : game.availability;
    games.set(game.id, {
      ...game,
      ...{ operation, progress, waiting, paused, availability, local_version },
      ...(local ? { content, size, problem: problem ?? null, damaged } : {}),
    });
  }
  for (const game of state.games.values()) {
    if (!games.has(game.id) && (isLocal(game) || game.operation !== "none"))
      games.set(game.id, game);
  }
  change({ games, progress: progressOf(games) });
}

// ---- Fetching what events only announce -------------------------------------------------------------

/** Runs `task` soon, once for many calls, and again if it was asked for meanwhile. */
function coalesced(delay: number, task: () => Promise<void>): () => void {
  let timer: ReturnType<typeof setTimeout> | null = null;
  let running = false;
  let again = false;
  const run = async (): Promise<void> => {
    timer = null;
    running = true;
    again = false;
    try {
      await task();
    } catch {
      // The event stream notices a lost peer and brings the whole state when it is back.
    }
    running = false;
    if (again) request();
  };
  const request = (): void => {
    if (running) again = true;
    else timer ??= setTimeout(() => void run(), delay);
  };
  return request;
}

export const refreshGames = coalesced(250, async () => {
  takeList((await get<{ games: Game[] }>("/api/games")).games);
});

export const refreshPeers = coalesced(150, async () => {
  change({ peers: (await get<{ peers: Peer[] }>("/api/peers")).peers });
});

export const refreshStatus = coalesced(50, async () => {
  const status = await get<Status>("/api/status");
  const sample = { up: status.up_rate ?? 0, down: status.down_rate ?? 0 };
  change({ status, samples: [...state.samples, sample].slice(-SAMPLES) });
});

// ---- Events -----------------------------------------------------------------------------------------

const text = (value: unknown): string => (typeof value === "string" ? value : "");

function errorOf(value: unknown): { code: string; message: string } {
  if (typeof value === "string") return { code: "failed", message: value };
  const error = (value ?? {}) as { code?: unknown; message?: unknown };
  return { code: text(error.code) || "failed", message: text(error.message) };
}

function takeEnd(event: PeerEvent, stem: string, failed: boolean): void {
  const game = text(event["game"]);
  const title = state.games.get(game)?.title ?? game;
  const error = errorOf(event["error"]);
  const failures = new Map(state.failures);
  failures.delete(game);
  if (failed && error.code !== "cancelled")
    failures.set(game, { what: stem, code: error.code, message: error.message });
  change({ failures });
  const kept = text(event["kept"]);
  if (!failed)
    toast({ kind: "good", key: `${stem}_finished`, game, title, ...(kept ? { text: kept } : {}) });
  else if (error.code !== "cancelled")
    toast({ kind: "bad", key: `${stem}_failed`, game, title, text: error.message });
}

function takeProgress(event: PeerEvent): void {
  const id = text(event["game"]);
  const game = state.games.get(id);
  if (!game || game.operation === "none") return;
  const { done, total, rate, eta_s, sources, phase, engine } = event as unknown as Progress;
  const progress = new Map(state.progress);
  progress.set(id, { done, total, rate, eta_s, sources, phase, engine });
  change({ progress });
}

function takeOther(event: PeerEvent): void {
  switch (event.event) {
    case "peer_connected":
    case "peer_disconnected":
      refreshPeers();
      refreshGames();
      break;
    case "health_changed":
      refreshStatus();
      break;
    case "runtime_failed":
      change({
        crash: {
          component: text(event["component"]),
          error: errorOf(event["error"]).message,
        },
      });
      break;
    case "warning":
      toast({ kind: "info", key: "warning", text: text(event["message"]) });
      break;
    case "download_all_peers_gone": {
      const game = text(event["game"]);
      const title = state.games.get(game)?.title ?? game;
      toast({ kind: "info", key: "download_all_peers_gone", game, title });
      break;
    }
    default:
  }
}

const ENDS = /^(download|install|update|uninstall|remove|verify|add)_(finished|failed)$/;
const PROGRESS = /^(download|install|update|uninstall|remove|verify|add|hashing)_progress$/;

export function takeEvent(event: PeerEvent): void {
  if (event.event === "local_games_updated") {
    const games = (event["games"] ?? []) as Game[];
    const operations = (event["operations"] ?? []) as Operation[];
    if (event["state"] === true) {
      takeState(games, operations);
      refreshPeers();
      refreshStatus();
    } else {
      takeLocal(games, operations);
      refreshGames();
    }
    return;
  }
  if (event.event === "remote_games_updated") {
    takeRemote((event["games"] ?? []) as Game[], (event["removed"] ?? []) as string[]);
    refreshGames();
    return;
  }
  const end = ENDS.exec(event.event);
  if (end?.[1]) takeEnd(event, end[1], end[2] === "failed");
  else if (PROGRESS.test(event.event)) takeProgress(event);
  else takeOther(event);
}
