import { useEffect, useState } from "react";
import { isMendable, labelOf, type Action, type Section } from "../actions";
import { coverPath, gamePath, get } from "../api";
import { bytes, hasUpdate, version } from "../format";
import { useTranslation, type Key } from "../i18n";
import { GameMenu, MainButton } from "../parts/Card";
import { ChunkMap } from "../parts/ChunkMap";
import { Dialog } from "../parts/Dialog";
import { Holders } from "../parts/Holders";
import { Icon } from "../parts/Icon";
import { Bar, DoneOfTotal, partOf, ProgressText } from "../parts/ProgressBar";
import { clearFailure, useStore } from "../store";
import type { Game, GameFile } from "../types";

interface Props {
  game: Game;
  section: Section | null; // what to bring into sight
  onClose: () => void;
  onChoose: (id: string, action: Action) => void;
}

const again: Record<string, Action> = {
  download: "get",
  install: "install",
  update: "update",
  uninstall: "uninstall",
  verify: "verify",
  remove: "remove",
};

/** What went wrong last, in words, with what to do. */
function FailureBox({ game, onChoose }: Pick<Props, "game" | "onChoose">) {
  const { t, maybe } = useTranslation();
  const failure = useStore((state) => state.failures.get(game.id));
  if (!failure && !game.problem) return null;
  const key = `failed_${failure?.code ?? "failed"}`;
  const retry = failure && game.operation === "none" ? again[failure.what] : undefined;
  const words = maybe(key);
  return (
    <div className="notice bad" role="alert">
      <Icon name="warn" />
      <div>
        <b>
          {failure ? maybe(`${failure.what}_failed`, { title: game.title }) : t("problem")}
        </b>
        {failure && <p>{words === key ? t("failed_failed") : words}</p>}
        <p className="detail">{failure?.message ?? game.problem}</p>
      </div>
      {!failure && isMendable(game) && (
        <div className="notice-actions">
          <button type="button" onClick={() => onChoose(game.id, "get")}>
            {t(labelOf(game, "get"))}
          </button>
        </div>
      )}
      {failure && (
        <div className="notice-actions">
          {retry && (
            <button type="button" onClick={() => onChoose(game.id, retry)}>
              {t("retry")}
            </button>
          )}
          <button type="button" className="quiet" onClick={() => clearFailure(game.id)}>
            {t("dismiss")}
          </button>
        </div>
      )}
    </div>
  );
}

function Versions({ game }: { game: Game }) {
  const { t, language } = useTranslation();
  return (
    <div id="versions" className={`versions${hasUpdate(game) ? " differ" : ""}`}>
      <div>
        <span>{t("here")}</span>
        <b>{version(game.local_version, language)}</b>
      </div>
      <span aria-hidden="true">→</span>
      <div>
        <span>{t("newest")}</span>
        <b>{version(game.latest_version, language)}</b>
      </div>
    </div>
  );
}

function Facts({ game }: { game: Game }) {
  const { t, many, language } = useTranslation();
  const rows: [Key, string | null | undefined][] = [
    ["size", game.size ? bytes(game.size, language) : null],
    ["players", game.max_players ? many("players_up_to", game.max_players) : null],
    ["genre", game.genre],
    ["publisher", game.publisher],
    ["release", game.release],
    ["variants", (game.variants ?? 0) > 1 ? String(game.variants) : null],
    ["content", game.content?.slice(0, 16)],
    ["torrents", game.swarm ? many("torrent_peers", game.swarm.peers) : null],
  ];
  return (
    <>
      <dl className="facts-list">
        {rows.map(
          ([key, value]) =>
            value && (
              <div key={key}>
                <dt>{t(key)}</dt>
                <dd>{value}</dd>
              </div>
            ),
        )}
      </dl>
      <section id="who_has">
        <h3>{t("who_has")}</h3>
        <Holders game={game} />
      </section>
    </>
  );
}

function Files({ game }: { game: Game }) {
  const { t, language } = useTranslation();
  const [files, setFiles] = useState<GameFile[]>([]);
  useEffect(() => {
    let gone = false;
    get<{ files: GameFile[] }>(gamePath(game.id)).then(
      (answer) => {
        if (!gone) setFiles(answer.files ?? []);
      },
      () => undefined, // nobody has it now: there is no list to show
    );
    return () => {
      gone = true;
    };
  }, [game.id, game.content]);
  if (files.length === 0) return null;
  return (
    <details>
      <summary>
        {t("files")} ({files.length.toLocaleString(language)})
      </summary>
      <ul className="files">
        {files.slice(0, 200).map((file) => (
          <li key={file.path}>
            <span>{file.path}</span>
            <span>{bytes(file.size, language)}</span>
          </li>
        ))}
      </ul>
    </details>
  );
}

export function GameSheet({ game, section, onClose, onChoose }: Props) {
  const { t, language } = useTranslation();
  useEffect(() => {
    if (section) document.getElementById(section)?.scrollIntoView({ block: "center" });
  }, [section]);
  const progress = useStore((state) => state.progress.get(game.id));
  const live = useStore((state) => state.connection === "live");
  const readme = game[`readme_${language}`] ?? game.readme_en ?? game.readme_de;
  const running = game.operation !== "none";
  return (
    <Dialog title={game.title} kind="sheet" onClose={onClose}>
      <div className="sheet-top">
        <img src={coverPath(game.id)} alt="" className="sheet-cover" />
        <div className="sheet-side">
          <p className="state">{t(running ? (game.operation as Key) : game.availability)}</p>
          {(game.local_version !== null || game.latest_version !== null) && <Versions game={game} />}
          {running && (
            <div className="card-progress">
              <Bar part={partOf(progress)} label={t(game.operation as Key)} still={!live} />
              <p className="numbers">
                <DoneOfTotal progress={progress} />
              </p>
              <p className="numbers">
                <ProgressText game={game} progress={progress} />
              </p>
            </div>
          )}
          <div className="sheet-actions">
            <MainButton game={game} onChoose={onChoose} />
            <GameMenu game={game} onChoose={onChoose} />
          </div>
        </div>
      </div>
      <FailureBox game={game} onChoose={onChoose} />
      {(game.operation === "downloading" || game.operation === "updating") && <ChunkMap game={game.id} title={game.title} />}
      {readme && <p className="readme">{readme}</p>}
      <Facts game={game} />
      <Files game={game} />
    </Dialog>
  );
}
