import { rate } from "../format";
import { useTranslation } from "../i18n";
import type { Sample } from "../store";

const WIDTH = 900;
const HEIGHT = 180;
const SLOTS = 90;

/** A round number above the highest sample: 1, 2 or 5 times a power of ten. */
function ceiling(value: number): number {
  const power = 10 ** Math.floor(Math.log10(Math.max(value, 1e6)));
  return [1, 2, 5, 10].map((n) => n * power).find((n) => n >= value) ?? value;
}

function path(values: readonly number[], top: number, closed: boolean): string {
  const step = WIDTH / (SLOTS - 1);
  const start = WIDTH - (values.length - 1) * step;
  const points = values.map((value, at) => {
    const x = (start + at * step).toFixed(1);
    return `${x} ${(HEIGHT - (value / top) * (HEIGHT - 8)).toFixed(1)}`;
  });
  const line = `M${points.join("L")}`;
  return closed ? `${line}L${WIDTH} ${HEIGHT}L${start.toFixed(1)} ${HEIGHT}Z` : line;
}

export function Chart({ samples }: { samples: readonly Sample[] }) {
  const { t, language } = useTranslation();
  const last = samples.at(-1) ?? { up: 0, down: 0 };
  const top = ceiling(Math.max(...samples.map((sample) => Math.max(sample.up, sample.down)), 0));
  const down = samples.map((sample) => sample.down);
  const up = samples.map((sample) => sample.up);
  return (
    <figure className="chart">
      <figcaption>
        <span className="key down">
          {t("download")} <b>{rate(last.down, language)}</b>
        </span>
        <span className="key up">
          {t("upload")} <b>{rate(last.up, language)}</b>
        </span>
        <span className="top">{rate(top, language)}</span>
      </figcaption>
      <svg
        viewBox={`0 0 ${WIDTH} ${HEIGHT}`}
        preserveAspectRatio="none"
        role="img"
        aria-label={`${t("throughput")}: ${t("download")} ${rate(last.down, language)}, ${t("upload")} ${rate(last.up, language)}`}
      >
        {[0.25, 0.5, 0.75].map((part) => (
          <path key={part} className="line" d={`M0 ${HEIGHT * part}H${WIDTH}`} />
        ))}
        {samples.length > 1 && (
          <>
            <path className="area down" d={path(down, top, true)} />
            <path className="area up" d={path(up, top, true)} />
            <path className="trace down" d={path(down, top, false)} />
            <path className="trace up" d={path(up, top, false)} />
          </>
        )}
      </svg>
    </figure>
  );
}
