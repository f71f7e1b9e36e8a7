// The event stream, kept alive: it starts over with a growing delay when it breaks, goes on from the
// last event, and does not trust a silence that is longer than three heartbeats.

import { currentState, setConnection, takeEvent } from "./store";
import type { PeerEvent } from "./types";

const FIRST_DELAY = 400;
const LONGEST_DELAY = 5000;
const SILENCE = 47_000;

let source: EventSource | null = null;
let lastId = "";
let delay = FIRST_DELAY;
let watchdog: ReturnType<typeof setTimeout> | undefined;

function heard(): void {
  clearTimeout(watchdog);
  watchdog = setTimeout(retry, SILENCE);
}

async function isLocked(): Promise<boolean> {
  try {
    return (await fetch("/api/status")).status === 401;
  } catch {
    return false;
  }
}

function retry(): void {
  source?.close();
  source = null;
  clearTimeout(watchdog);
  if (currentState().connection !== "locked")
    setConnection(currentState().loaded ? "lost" : "connecting");
  setTimeout(() => void again(), delay);
  delay = Math.min(delay * 1.7, LONGEST_DELAY);
}

async function again(): Promise<void> {
  if (await isLocked()) setConnection("locked");
  open();
}

function open(): void {
  const query = lastId ? `?after=${encodeURIComponent(lastId)}` : "";
  source = new EventSource(`/api/events${query}`);
  source.onmessage = (message: MessageEvent<string>) => {
    heard();
    delay = FIRST_DELAY;
    if (message.lastEventId) lastId = message.lastEventId;
    takeEvent(JSON.parse(message.data) as PeerEvent);
  };
  source.addEventListener("heartbeat", heard);
  source.onerror = retry;
  heard();
}

export function startStream(): void {
  open();
}
