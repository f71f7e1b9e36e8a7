// The objects of the API, as docs/api.md describes them.

export type Availability = "unavailable" | "remote" | "downloaded" | "installed" | "local_only";

export type OperationKind =
  | "none"
  | "hashing"
  | "downloading"
  | "installing"
  | "updating"
  | "uninstalling"
  | "removing"
  | "verifying"
  | "adding";

/** Who fetches a download: peers of this network, or BitTorrent. */
export type Engine = "lan" | "swarm";

export interface Progress {
  done: number;
  total: number;
  rate: number | null;
  eta_s: number | null;
  sources: number | null;
  phase: string | null;
  engine?: Engine | undefined;
}

export interface Game {
  id: string;
  title: string;
  availability: Availability;
  operation: OperationKind;
  waiting: boolean;
  paused?: boolean;
  progress: Progress | null;
  local_version: string | null;
  latest_version: string | null;
  content: string | null;
  size: number | null;
  sources: number;
  swarm?: { torrents: string[]; peers: number; seeds: number } | null;
  variants?: number;
  problem?: string | null;
  damaged?: boolean; // its disk changed what was downloaded
  release?: string | null;
  publisher?: string | null;
  genre?: string | null;
  max_players?: number | null;
  readme_de?: string | null;
  readme_en?: string | null;
  readme_fr?: string | null;
}

export interface Operation {
  game: string;
  operation: OperationKind;
}

export interface GameFile {
  path: string;
  size: number;
}

export interface Variant {
  content: string;
  version: string;
  size: number | null;
  holders: number;
}

/** A connected peer that has a game. */
export interface Holder {
  peer: string;
  name: string;
  state: "hashing" | "partial" | "ready";
  version: string | null;
  content: string | null;
  size: number;
}

export interface Peer {
  id: string;
  name: string;
  address: string;
  connected: boolean;
  games: number;
  sent: number;
  received: number;
  up_rate?: number;
  down_rate?: number;
  rtt_ms?: number | null;
  version?: string | null;
}

export interface Service {
  name: string;
  state: string;
  restarts: number;
  error?: string | null;
}

export interface Limits {
  up: number;
  down: number;
  pause_uploads: boolean;
}

export interface Health {
  state: "ok" | "degraded" | "failed";
  degraded: string[];
}

export interface Status {
  version: string;
  peer_id: string;
  name: string;
  listen: string[];
  games_dir: string;
  health: Health;
  services: Service[];
  sent: number;
  received: number;
  up_rate: number;
  down_rate: number;
  peers: number;
  uptime_s: number;
  limits?: Limits;
  torrent?: { mode: string; port: number } | null;
}

export interface Config {
  config: Record<string, unknown>;
  fixed: string[];
}

export interface ChunkMapData {
  chunks: number;
  done: number;
  have: string;
  availability?: number[];
}

export type TorrentState =
  | "queued"
  | "fetching_metadata"
  | "checking"
  | "downloading"
  | "seeding"
  | "completed"
  | "paused"
  | "failed";

export interface Torrent {
  id: string;
  name: string;
  info_hash_v1?: string | null;
  info_hash_v2?: string | null;
  state: TorrentState;
  done: number;
  total: number;
  download_rate: number;
  upload_rate: number;
  peers: number;
  seeds: number;
  ratio?: number | null;
  eta_s?: number | null;
  paused?: boolean;
  sequential?: boolean;
  save_path?: string;
  game?: string | null;
  error?: string | null;
  max_download?: number;
  max_upload?: number;
}

export interface ApiErrorBody {
  code: string;
  message: string;
  where?: string;
  variants?: Variant[];
}

export interface PeerEvent {
  event: string;
  [key: string]: unknown;
}
