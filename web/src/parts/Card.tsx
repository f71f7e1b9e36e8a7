import { memo } from "react";
import { labelOf, mainAction, menuActions, type Action } from "../actions";
import { isLocal } from "../api";
import { bytes, hasUpdate } from "../format";
import { useTranslation, type Key } from "../i18n";
import { useStore } from "../store";
import type { Game } from "../types";
import { Cover } from "./Cover";
import { Icon, type IconName } from "./Icon";
import { Menu } from "./Menu";
import { Bar, partOf, ProgressText } from "./ProgressBar";

export interface CardHandlers {
  onOpen: (id: string) => void;
  onChoose: (id: string, action: Action) => void;
}

interface Props extends CardHandlers {
  game: Game;
  index: number;
  total: number;
}

export function badgeOf(game: Game): { key: Key; tone: string } | null {
  if (game.operation !== "none") return { key: game.operation, tone: "busy" };
  if (hasUpdate(game)) return { key: "update_available", tone: "warm" };
  switch (game.availability) {
    case "installed":
    case "local_only":
      return { key: "installed", tone: "good" };
    case "downloaded":
      return { key: "downloaded", tone: "cool" };
    case "unavailable":
      return { key: "unavailable", tone: "faint" };
    case "remote":
      return null;
  }
}

/** The one big button of a game. */
export function MainButton({ game, onChoose }: { game: Game } & Pick<CardHandlers, "onChoose">) {
  const { t } = useTranslation();
  const live = useStore((state) => state.connection === "live");
  const action = mainAction(game);
  if (!action)
    return (
      <button type="button" className="main" disabled>
        {t(game.operation as Key)}
      </button>
    );
  const elsewhere = action === "play" && !isLocal;
  const labelKey = labelOf(game, action);
  const label = t(labelKey);
  const later = labelKey === "get_wait";
  return (
    <button
      type="button"
      className={`main ${later ? "later" : action}`}
      disabled={!live || elsewhere}
      title={elsewhere ? t("play_elsewhere") : later ? t("get_wait_hint") : undefined}
      aria-label={`${label}: ${game.title}`}
      onClick={() => onChoose(game.id, action)}
    >
      <Icon name={action as IconName} />
      <span>{label}</span>
    </button>
  );
}

/** Everything else. */
export function GameMenu({ game, onChoose }: { game: Game } & Pick<CardHandlers, "onChoose">) {
  const { t } = useTranslation();
  return (
    <Menu
      label={t("more", { title: game.title })}
      items={() =>
        menuActions(game).map((action) => ({
          key: action,
          label: t(labelOf(game, action)),
          run: () => onChoose(game.id, action),
        }))
      }
    />
  );
}

function Running({ game }: { game: Game }) {
  const { t } = useTranslation();
  const progress = useStore((state) => state.progress.get(game.id));
  const still = useStore((state) => state.connection !== "live") || game.waiting || !!game.paused;
  return (
    <div className="card-progress">
      <Bar part={partOf(progress)} label={`${t(game.operation as Key)}: ${game.title}`} still={still} />
      <p className="numbers">
        <ProgressText game={game} progress={progress} />
      </p>
    </div>
  );
}

export const Card = memo(function Card({ game, index, total, onOpen, onChoose }: Props) {
  const { t, many, language } = useTranslation();
  const failure = useStore((state) => state.failures.get(game.id));
  const badge = badgeOf(game);
  const running = game.operation !== "none";
  const facts = [bytes(game.size || null, language)]; // a size of 0 is not known
  const elsewhere = game.swarm?.peers ?? 0;
  if (game.availability === "remote") {
    if (game.sources || !elsewhere) facts.push(many("sources", game.sources));
    if (elsewhere) facts.push(many("torrent_peers", elsewhere));
  } else if (game.max_players) facts.push(many("players_up_to", game.max_players));
  return (
    <li
      className={`card ${game.availability}${running ? " running" : ""}`}
      aria-setsize={total}
      aria-posinset={index + 1}
      data-game={game.id}
      data-operation={game.operation}
      data-availability={game.availability}
    >
      <button
        type="button"
        className="cover"
        data-index={index}
        onClick={() => onOpen(game.id)}
        aria-label={`${game.title}: ${t(badge?.key ?? "remote")}`}
      >
        <Cover game={game.id} />
        {badge && <span className={`badge ${badge.tone}`}>{t(badge.key)}</span>}
        {(failure || game.problem) && (
          <span className="badge bad corner" title={failure?.message ?? game.problem ?? ""}>
            <Icon name="warn" />
          </span>
        )}
      </button>
      <h3 title={game.title}>{game.title}</h3>
      {running ? (
        <Running game={game} />
      ) : (
        <p className="facts">{facts.filter((fact) => fact !== "–").join(" · ")}</p>
      )}
      <div className="card-actions">
        <MainButton game={game} onChoose={onChoose} />
        <GameMenu game={game} onChoose={onChoose} />
      </div>
    </li>
  );
});
