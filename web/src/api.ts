import type { ApiErrorBody } from "./types";

/** What the server refused, in its own words. */
export class ApiError extends Error {
  readonly status: number;
  readonly body: ApiErrorBody;

  constructor(status: number, body: ApiErrorBody) {
    super(body.message);
    this.status = status;
    this.body = body;
  }
}

async function errorOf(response: Response): Promise<ApiError> {
  try {
    const { error } = (await response.json()) as { error: ApiErrorBody };
    if (typeof error.message === "string") return new ApiError(response.status, error);
  } catch {
    // No JSON: the status says what there is to say.
  }
  const body = { code: "failed", message: `${response.status} ${response.statusText}` };
  return new ApiError(response.status, body);
}

async function call<T>(method: string, path: string, body?: unknown): Promise<T> {
  const init: RequestInit = { method, credentials: "same-origin" };
  if (method !== "GET") {
    init.headers = { "Content-Type": "application/json" };
    init.body = JSON.stringify(body ?? {});
  }
  const response = await fetch(path, init);
  if (!response.ok) throw await errorOf(response);
  return (await response.json()) as T;
}

export const get = <T>(path: string): Promise<T> => call<T>("GET", path);
export const post = <T>(path: string, body?: unknown): Promise<T> => call<T>("POST", path, body);
export const put = <T>(path: string, body: unknown): Promise<T> => call<T>("PUT", path, body);
export const remove = <T>(path: string, body?: unknown): Promise<T> => call<T>("DELETE", path, body);

export const gamePath = (id: string): string => `/api/games/${encodeURIComponent(id)}`;
export const coverPath = (id: string): string => `/api/covers/${encodeURIComponent(id)}`;

/** Whether this browser runs on the machine that the peer runs on: only then can it start games. */
export const isLocal = /^(localhost|127\.|\[::1\])/.test(location.hostname);
