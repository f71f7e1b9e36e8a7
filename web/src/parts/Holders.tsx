// Who has a game: by name, with the version and how much of it.

import { useEffect, useState } from "react";
import { gamePath, get } from "../api";
import { version } from "../format";
import { useTranslation } from "../i18n";
import type { Game, Holder } from "../types";
import { Avatar } from "./Avatar";

const ORDER = { ready: 0, partial: 1, hashing: 2 } as const;

const sorted = (holders: readonly Holder[]): Holder[] =>
  [...holders].sort((a, b) => ORDER[a.state] - ORDER[b.state] || a.name.localeCompare(b.name));

/** Asks again while it is shown: others finish, come and go. */
export function useHolders(game: Game): readonly Holder[] | null {
  const [holders, setHolders] = useState<readonly Holder[] | null>(null);
  useEffect(() => {
    let gone = false;
    const load = (): void => {
      get<{ holders: Holder[] }>(`${gamePath(game.id)}/holders`).then(
        (answer) => {
          if (!gone) setHolders(sorted(answer.holders));
        },
        () => undefined, // the banner says what is wrong
      );
    };
    load();
    const timer = setInterval(load, 3000);
    return () => {
      gone = true;
      clearInterval(timer);
    };
  }, [game.id, game.sources, game.latest_version]);
  return holders;
}

export function Holders({ game }: { game: Game }) {
  const { t, language } = useTranslation();
  const holders = useHolders(game);
  if (!holders) return null;
  if (holders.length === 0) return <p>{t("who_has_zero")}</p>;
  return (
    <ul className="holders">
      {holders.map((holder) => (
        <li key={holder.peer}>
          <Avatar id={holder.peer} name={holder.name} />
          <span>
            {holder.name}
            <small>
              {version(holder.version, language)} · {t(`holding_${holder.state}`)}
            </small>
          </span>
        </li>
      ))}
    </ul>
  );
}
