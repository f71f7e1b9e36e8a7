import { bytes, duration, rate } from "../format";
import { useTranslation } from "../i18n";
import type { Game, Progress } from "../types";

export function Bar({ part, label, still }: { part: number | null; label: string; still?: boolean }) {
  const percent = part === null ? undefined : Math.round(part * 100);
  return (
    <div
      className={`bar${part === null ? " unknown" : ""}${still ? " still" : ""}`}
      role="progressbar"
      aria-label={label}
      aria-valuemin={0}
      aria-valuemax={100}
      aria-valuenow={percent}
    >
      <div className="bar-fill" style={{ transform: `scaleX(${part ?? 0.35})` }} />
    </div>
  );
}

export const partOf = (progress: Progress | undefined | null): number | null =>
  progress && progress.total > 0 ? Math.min(1, progress.done / progress.total) : null;

/** "41 % · 112 MB/s · 0:31 min left · 3 sources" */
export function ProgressText({ game, progress }: { game: Game; progress: Progress | undefined }) {
  const { t, many, language } = useTranslation();
  const part = partOf(progress);
  const words: string[] = [];
  if (part !== null) words.push(`${Math.floor(part * 100)} %`);
  if (game.waiting) words.push(t("waiting"));
  else if (game.paused) words.push(t("paused"));
  else if (progress) {
    if (progress.rate) words.push(rate(progress.rate, language));
    if (progress.eta_s !== null && progress.eta_s !== undefined)
      words.push(t("left", { time: duration(progress.eta_s) }));
    if (game.operation === "downloading" && progress.sources !== null)
      words.push(many("sources", progress.sources));
    if (progress.engine === "swarm") words.push("BitTorrent");
  }
  // A line may break between two of them, not within one.
  return <>{words.map((word) => word.replaceAll(" ", "\u00a0")).join(" · ")}</>;
}

export function DoneOfTotal({ progress }: { progress: Progress | undefined }) {
  const { language } = useTranslation();
  if (!progress) return null;
  return (
    <>
      {bytes(progress.done, language)} / {bytes(progress.total, language)}
    </>
  );
}
