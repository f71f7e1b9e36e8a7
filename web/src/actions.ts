// What a person can do with a game, and which of it comes first.

import { ApiError, gamePath, get, isLocal, post, remove } from "./api";
import { hasUpdate } from "./format";
import type { Key } from "./i18n";
import { clearFailure, currentState, toast } from "./store";
import type { Engine, Game, Variant } from "./types";

export type Action =
  | "get"
  | "get_install"
  | "install"
  | "play"
  | "update"
  | "cancel"
  | "pause"
  | "by_lan"
  | "by_torrent"
  | "resume"
  | "uninstall"
  | "remove"
  | "verify"
  | "share"
  | "open_folder"
  | "copy_folder"
  | Section;

/** What the menu of a card shows of a game's sheet. */
export type Section = "versions" | "who_has";
export const isSection = (action: Action): action is Section =>
  action === "versions" || action === "who_has";

/** Files that are read in the background keep nobody from anything. */
const isIdle = (game: Game): boolean => game.operation === "none" || game.operation === "hashing";

/** What its disk changed is fetched again. */
export const isMendable = (game: Game): boolean => isIdle(game) && game.damaged === true;

/** The one big button. */
export function mainAction(game: Game): Action | null {
  if (game.operation === "downloading" || game.operation === "updating") return "cancel";
  if (game.operation === "installing" || game.operation === "verifying") return "cancel";
  if (!isIdle(game)) return null;
  switch (game.availability) {
    case "remote":
    case "unavailable":
      return "get";
    case "downloaded":
      if (isMendable(game)) return "get";
      return hasUpdate(game) ? "update" : "install";
    case "installed":
      return hasUpdate(game) ? "update" : "play";
    case "local_only":
      return "play";
  }
}

/** The torrent engine runs because somebody wanted it to. */
const isSwarmOn = (): boolean => (currentState().status?.torrent?.mode ?? "off") !== "off";

const engineOf = (game: Game): Engine | undefined =>
  currentState().progress.get(game.id)?.engine ?? game.progress?.engine;

/** A download can be moved to the other engine; what is verified stays. */
function engineActions(game: Game): Action[] {
  if (engineOf(game) === "swarm") return ["by_lan"];
  return isSwarmOn() ? ["by_torrent"] : [];
}

/** Everything else that fits its state, in the order of the menu. */
export function menuActions(game: Game): Action[] {
  const main = mainAction(game);
  const list: Action[] = [];
  if (game.operation === "downloading" || game.operation === "updating")
    list.push(game.paused ? "resume" : "pause", ...engineActions(game));
  if (isIdle(game)) {
    const installed = game.availability === "installed" || game.availability === "local_only";
    const downloaded = game.availability === "downloaded" || game.availability === "installed";
    if (installed && isLocal) list.push("play");
    if (game.availability === "remote") list.push("get_install", ...engineActions(game));
    if (downloaded && !installed) list.push("install");
    if (isMendable(game)) list.push("get");
    if (downloaded) list.push("verify", "share");
    if (installed) list.push("uninstall");
    if (downloaded) list.push("remove");
  }
  if (game.local_version !== null) list.push(...(isLocal ? ["open_folder" as const] : []), "copy_folder");
  list.push("versions", "who_has");
  return list.filter((action) => action !== main);
}

export function labelOf(game: Game, action: Action): Key {
  if (action === "get" && game.availability === "unavailable") return "get_wait";
  return action === "get" && isMendable(game) ? "get_again" : action;
}

const paths: Partial<Record<Action, string>> = {
  get: "download",
  get_install: "install",
  install: "install",
  play: "play",
  update: "update",
  cancel: "cancel",
  pause: "pause",
  resume: "resume",
  uninstall: "uninstall",
  verify: "verify",
  open_folder: "open-folder",
};

export interface ActionOptions {
  variant?: string;
  purge?: boolean;
}

async function copy(value: string): Promise<void> {
  await navigator.clipboard.writeText(value);
}

/** Which engine a download is moved to: what is verified stays. */
const engines: Partial<Record<Action, string>> = { by_lan: "lan", by_torrent: "swarm" };

async function perform(game: Game, action: Action, options: ActionOptions): Promise<void> {
  const path = paths[action];
  const engine = engines[action];
  if (path) await post(`${gamePath(game.id)}/${path}`, options);
  else if (engine) await post(`${gamePath(game.id)}/download`, { engine });
  else if (action === "remove") await remove(gamePath(game.id));
  else if (action === "share") {
    const { magnet } = await post<{ magnet: string }>(`${gamePath(game.id)}/share`);
    await copy(magnet);
    toast({ kind: "info", key: "shared", title: game.title });
  } else if (action === "copy_folder") {
    const { games_dir } = await get<{ games_dir: string }>("/api/status");
    await copy(`${games_dir}/${game.id}`);
    toast({ kind: "info", key: "copied", text: `${games_dir}/${game.id}` });
  }
  if (action === "play") toast({ kind: "info", key: "started", title: game.title });
}

/** Gives the variants to choose from where that is what is missing. */
export async function act(
  game: Game,
  action: Action,
  options: ActionOptions = {},
): Promise<Variant[] | null> {
  clearFailure(game.id);
  try {
    await perform(game, action, options);
  } catch (error) {
    if (error instanceof ApiError && error.body.variants) return error.body.variants;
    const text = error instanceof Error ? error.message : String(error);
    toast({ kind: "bad", key: "action_failed", text });
  }
  return null;
}
