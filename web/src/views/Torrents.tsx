import { useCallback, useEffect, useState } from "react";
import { put } from "../api";
import { bytes, duration, rate } from "../format";
import { useTranslation, type Key } from "../i18n";
import { Dialog } from "../parts/Dialog";
import { Icon } from "../parts/Icon";
import { Menu, type MenuItem } from "../parts/Menu";
import { Bar } from "../parts/ProgressBar";
import { refreshStatus, toast, useStore } from "../store";
import { AddTorrent } from "../torrents/Add";
import { attempt, listTorrents, magnetOf, torrents as engine } from "../torrents/api";
import { TorrentDetails } from "../torrents/Details";
import type { Torrent } from "../types";

interface List {
  torrents: readonly Torrent[] | null; // null: the engine is off
  loaded: boolean;
  reload: () => void;
}

function useTorrents(): List {
  const [list, setList] = useState<Omit<List, "reload">>({ torrents: null, loaded: false });
  const load = useCallback(() => {
    listTorrents().then(
      (torrents) => setList({ torrents, loaded: true }),
      () => undefined, // the banner says what is wrong
    );
  }, []);
  useEffect(() => {
    load();
    const timer = setInterval(load, 1000);
    return () => clearInterval(timer);
  }, [load]);
  return { ...list, reload: load };
}

const partOf = (torrent: Torrent): number | null =>
  torrent.total > 0 ? torrent.done / torrent.total : null;

function Numbers({ torrent }: { torrent: Torrent }) {
  const { t, many, language } = useTranslation();
  const part = partOf(torrent);
  const words: string[] = [];
  if (part !== null && part < 1) words.push(`${Math.floor(part * 100)} %`);
  if (torrent.total > 0)
    words.push(
      part !== null && part < 1
        ? `${bytes(torrent.done, language)} / ${bytes(torrent.total, language)}`
        : bytes(torrent.total, language),
    );
  words.push(`↓ ${rate(torrent.download_rate, language)}`, `↑ ${rate(torrent.upload_rate, language)}`);
  if (torrent.eta_s && torrent.state === "downloading")
    words.push(t("left", { time: duration(torrent.eta_s) }));
  words.push(`${many("peers_short", torrent.peers)} (${many("seeds", torrent.seeds)})`);
  if (torrent.ratio !== undefined && torrent.ratio !== null)
    words.push(
      `${t("ratio")} ${torrent.ratio.toLocaleString(language, { maximumFractionDigits: 2 })}`,
    );
  return <p className="numbers">{words.map((word) => word.replaceAll(" ", "\u00a0")).join(" · ")}</p>;
}

interface RowProps {
  torrent: Torrent;
  reload: () => void;
  onDetails: () => void;
  onRemove: () => void;
}

function Row({ torrent, reload, onDetails, onRemove }: RowProps) {
  const { t } = useTranslation();
  const name = torrent.name || torrent.id.slice(0, 16);
  const run = (task: Promise<unknown>): void => void attempt(task).then(reload);
  const copyMagnet = async (): Promise<void> => {
    await navigator.clipboard.writeText(magnetOf(torrent));
    toast({ kind: "info", key: "shared", title: name });
  };
  const items = (): MenuItem[] => [
    torrent.paused
      ? { key: "resume", label: t("resume"), run: () => run(engine.send(torrent, "resume")) }
      : { key: "pause", label: t("pause"), run: () => run(engine.send(torrent, "pause")) },
    { key: "details", label: t("details"), run: onDetails },
    { key: "recheck", label: t("verify"), run: () => run(engine.send(torrent, "recheck")) },
    { key: "ask", label: t("reannounce"), run: () => run(engine.send(torrent, "reannounce")) },
    {
      key: "order",
      label: t(torrent.sequential ? "sequential_off" : "sequential_on"),
      run: () => run(engine.sequential(torrent, !torrent.sequential)),
    },
    { key: "magnet", label: t("copy_magnet"), run: () => run(copyMagnet()) },
    { key: "remove", label: t("torrent_remove"), run: onRemove },
  ];
  const tone = torrent.state === "failed" ? "bad" : torrent.state === "seeding" ? "good" : "cool";
  return (
    <article className="panel torrent" data-torrent={torrent.id} data-state={torrent.state}>
      <div className="torrent-head">
        <h3>{name}</h3>
        {torrent.game && <span className="badge">{torrent.game}</span>}
        <span className={`badge ${tone}`}>{t(`torrent_${torrent.state}` as Key)}</span>
        <div className="torrent-buttons">
          <button type="button" onClick={onDetails}>
            {t("details")}
          </button>
          <Menu label={t("more", { title: name })} items={items} />
        </div>
      </div>
      <Bar part={partOf(torrent)} label={name} still={torrent.state !== "downloading"} />
      <Numbers torrent={torrent} />
      {torrent.error && <p className="error">{torrent.error}</p>}
    </article>
  );
}

interface RemoveProps {
  torrent: Torrent;
  onClose: () => void;
  onDone: () => void;
}

function RemoveDialog({ torrent, onClose, onDone }: RemoveProps) {
  const { t } = useTranslation();
  const [data, setData] = useState(false);
  const title = torrent.name || torrent.id.slice(0, 16);
  return (
    <Dialog title={t("torrent_remove_title", { title })} onClose={onClose}>
      <p>{t("torrent_remove_text")}</p>
      <label className="check">
        <input type="checkbox" checked={data} onChange={(event) => setData(event.target.checked)} />
        {t("torrent_remove_data")}
      </label>
      <div className="dialog-actions">
        <button type="button" onClick={onClose}>
          {t("cancel")}
        </button>
        <button
          type="button"
          className="danger"
          onClick={() => {
            void attempt(engine.remove(torrent, data)).then(onDone);
            onClose();
          }}
        >
          {t("torrent_remove")}
        </button>
      </div>
    </Dialog>
  );
}

/** It is off, or failed: what it is for, and the switch. */
function Off({ reload }: { reload: () => void }) {
  const { t } = useTranslation();
  const turnOn = (value: "lan" | "internet") => () =>
    void attempt(put("/api/config/swarm", { value })).then(() => {
      refreshStatus();
      reload();
    });
  return (
    <div className="page empty">
      <Icon name="swarm" />
      <h2>{t("engine_off")}</h2>
      <p>{t("engine_off_hint")}</p>
      <div className="row">
        <button type="button" className="main get" onClick={turnOn("lan")}>
          {t("engine_on_lan")}
        </button>
        <button type="button" onClick={turnOn("internet")}>
          {t("engine_on_internet")}
        </button>
      </div>
    </div>
  );
}

function Summary({ torrents }: { torrents: readonly Torrent[] }) {
  const { t, language } = useTranslation();
  const port = useStore((state) => state.status?.torrent?.port);
  const mode = useStore((state) => state.status?.torrent?.mode);
  const sum = (key: "download_rate" | "upload_rate"): number =>
    torrents.reduce((total, torrent) => total + torrent[key], 0);
  return (
    <p className="numbers">
      {mode && <>{t(`swarm_${mode}` as Key)} · </>}
      {!!port && <>{t("listens_on", { port })} · </>}↓ {rate(sum("download_rate"), language)} · ↑{" "}
      {rate(sum("upload_rate"), language)}
    </p>
  );
}

export function Torrents() {
  const { t } = useTranslation();
  const { torrents, loaded, reload } = useTorrents();
  const [details, setDetails] = useState<string | null>(null);
  const [removing, setRemoving] = useState<string | null>(null);
  if (!loaded) return null;
  if (!torrents) return <Off reload={reload} />;
  const find = (id: string | null): Torrent | undefined =>
    torrents.find((torrent) => torrent.id === id);
  const shown = find(details);
  const asked = find(removing);
  return (
    <div className="page">
      <div>
        <h2>{t("swarm_engine")}</h2>
        <Summary torrents={torrents} />
      </div>
      <AddTorrent onAdded={reload} />
      {torrents.length === 0 && (
        <div className="empty small">
          <Icon name="swarm" />
          <h3>{t("no_torrents")}</h3>
          <p>{t("no_torrents_hint")}</p>
        </div>
      )}
      {torrents.map((torrent) => (
        <Row
          key={torrent.id}
          torrent={torrent}
          reload={reload}
          onDetails={() => setDetails(torrent.id)}
          onRemove={() => setRemoving(torrent.id)}
        />
      ))}
      {shown && <TorrentDetails torrent={shown} onClose={() => setDetails(null)} />}
      {asked && (
        <RemoveDialog torrent={asked} onClose={() => setRemoving(null)} onDone={reload} />
      )}
    </div>
  );
}
