import { useEffect, useRef, useState } from "react";
import { gamePath, get } from "../api";
import { useTranslation } from "../i18n";
import type { ChunkMapData } from "../types";

const CELLS = 256;

/** How much of each 256th is here, from a bitmap of all chunks (most significant bit first). */
function partsHere(map: ChunkMapData): number[] {
  const bits = Uint8Array.from(atob(map.have), (letter) => letter.charCodeAt(0));
  const parts: number[] = [];
  for (let cell = 0; cell < CELLS; cell++) {
    const from = Math.floor((cell * map.chunks) / CELLS);
    const to = Math.max(from + 1, Math.floor(((cell + 1) * map.chunks) / CELLS));
    let here = 0;
    for (let chunk = from; chunk < to; chunk++)
      here += ((bits[chunk >> 3] ?? 0) >> (7 - (chunk & 7))) & 1;
    parts.push(here / (to - from));
  }
  return parts;
}

function draw(canvas: HTMLCanvasElement, map: ChunkMapData): void {
  const context = canvas.getContext("2d");
  if (!context) return;
  const columns = canvas.clientWidth < 420 ? 32 : 64;
  const rows = CELLS / columns;
  const scale = window.devicePixelRatio || 1;
  const size = canvas.clientWidth / columns;
  canvas.width = Math.round(canvas.clientWidth * scale);
  canvas.height = Math.round(size * rows * scale);
  context.scale(scale, scale);
  const style = getComputedStyle(canvas);
  const color = (name: string): string => style.getPropertyValue(name).trim();
  partsHere(map).forEach((part, cell) => {
    const holders = map.availability?.[cell] ?? 0;
    const x = (cell % columns) * size;
    const y = Math.floor(cell / columns) * size;
    context.fillStyle = color(
      holders > 1 ? "--chunk-many" : holders === 1 ? "--chunk-few" : "--chunk-none",
    );
    context.fillRect(x + 0.5, y + 0.5, size - 1, size - 1);
    if (part === 0) return;
    // It fills from below: a blend of two colours would be a third that no legend names.
    const height = (size - 1) * Math.min(1, Math.max(part, 0.2));
    context.fillStyle = color("--chunk-have");
    context.fillRect(x + 0.5, y + size - 0.5 - height, size - 1, height);
  });
}

export function ChunkMap({ game, title }: { game: string; title: string }) {
  const { t, language } = useTranslation();
  const canvas = useRef<HTMLCanvasElement>(null);
  const [map, setMap] = useState<ChunkMapData | null>(null);

  useEffect(() => {
    let gone = false;
    const load = async (): Promise<void> => {
      try {
        const loaded = await get<ChunkMapData>(`${gamePath(game)}/chunks`);
        if (!gone) setMap(loaded);
      } catch {
        // The download ended between two looks; the caller takes this away.
      }
    };
    void load();
    const timer = setInterval(() => void load(), 1000);
    return () => {
      gone = true;
      clearInterval(timer);
    };
  }, [game]);

  useEffect(() => {
    if (canvas.current && map) draw(canvas.current, map);
  }, [map]);

  const done = (map?.done ?? 0).toLocaleString(language);
  const total = (map?.chunks ?? 0).toLocaleString(language);
  return (
    <figure className="chunks">
      <canvas ref={canvas} role="img" aria-label={`${t("chunk_map")}: ${title}`} />
      <figcaption>
        {t("chunk_map_text", { done, total })}
        <span className="legend">
          {(["have", "many", "few", "none"] as const).map((kind) => (
            <span key={kind}>
              <i className={kind} /> {t(`chunk_${kind}`)}
            </span>
          ))}
        </span>
      </figcaption>
    </figure>
  );
}
