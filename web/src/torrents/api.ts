// What the torrent engine says, and how it is asked (docs/api.yaml, /api/torrents).

import { ApiError, get, post, put, remove } from "../api";
import { toast } from "../store";
import type { Torrent } from "../types";

// Bytes: in base64 it must fit into what the server takes, which is closed on whoever sends more.
export const TORRENT_FILE_MAX = 11_000_000;

export const pathOf = (torrent: Torrent): string => `/api/torrents/${encodeURIComponent(torrent.id)}`;

export interface TorrentFile {
  path: string;
  size: number;
  done: number;
  priority: "skip" | "low" | "normal" | "high";
}

export interface TorrentPeer {
  address: string;
  client: string;
  progress: number;
  download_rate: number;
  upload_rate: number;
}

export interface Tracker {
  url: string;
  tier: number;
  status: string;
  message?: string | null;
  seeds?: number | null;
  peers?: number | null;
}

/** The list, or null while the engine is off. */
export async function listTorrents(): Promise<Torrent[] | null> {
  try {
    return (await get<{ torrents: Torrent[] }>("/api/torrents")).torrents;
  } catch (error) {
    if (error instanceof ApiError && error.body.code !== "timeout") return null;
    throw error;
  }
}

/** Runs it; what goes wrong is told in a toast. */
export async function attempt(task: Promise<unknown>): Promise<boolean> {
  try {
    await task;
    return true;
  } catch (error) {
    const text = error instanceof Error ? error.message : String(error);
    toast({ kind: "bad", key: "action_failed", text });
    return false;
  }
}

async function base64(file: File): Promise<string> {
  const bytes = new Uint8Array(await file.arrayBuffer());
  let text = "";
  for (let at = 0; at < bytes.length; at += 8192)
    text += String.fromCharCode(...bytes.subarray(at, at + 8192));
  return btoa(text);
}

export const torrents = {
  addLink: (source: string, asGame: boolean) =>
    post("/api/torrents", { source, ...(asGame ? { as_game: true } : {}) }),
  addFile: async (file: File, asGame: boolean) =>
    post("/api/torrents", { metainfo: await base64(file), ...(asGame ? { as_game: true } : {}) }),
  send: (torrent: Torrent, action: "pause" | "resume" | "recheck" | "reannounce") =>
    post(`${pathOf(torrent)}/${action}`),
  sequential: (torrent: Torrent, on: boolean) => put(`${pathOf(torrent)}/sequential`, { on }),
  limits: (torrent: Torrent, limits: { max_download?: number; max_upload?: number }) =>
    put(`${pathOf(torrent)}/limits`, limits),
  select: (torrent: Torrent, priorities: Record<string, string>) =>
    put(`${pathOf(torrent)}/selection`, { priorities }),
  trackers: (torrent: Torrent, change: { add?: string[]; remove?: string[] }) =>
    put(`${pathOf(torrent)}/trackers`, change),
  remove: (torrent: Torrent, data: boolean) => remove(pathOf(torrent), { data }),
};

/** By both info-hashes, where it has both. */
export function magnetOf(torrent: Torrent): string {
  const hashes = [
    torrent.info_hash_v2 && `xt=urn:btmh:1220${torrent.info_hash_v2}`,
    torrent.info_hash_v1 && `xt=urn:btih:${torrent.info_hash_v1}`,
  ].filter(Boolean);
  return `magnet:?${hashes.join("&")}&dn=${encodeURIComponent(torrent.name)}`;
}
