import { useCallback, useEffect, useState, type FormEvent } from "react";
import { ApiError, get, post, remove } from "../api";
import { rate } from "../format";
import { useTranslation } from "../i18n";
import { Icon } from "../parts/Icon";
import { Menu } from "../parts/Menu";
import { Bar } from "../parts/ProgressBar";
import { toast } from "../store";
import type { Torrent } from "../types";

const pathOf = (id: string): string => `/api/torrents/${encodeURIComponent(id)}`;

const partOf = (torrent: Torrent): number =>
  torrent.progress ?? (torrent.total ? (torrent.done ?? 0) / torrent.total : 0);

function useTorrents(): { torrents: Torrent[]; off: boolean; reload: () => void } {
  const [torrents, setTorrents] = useState<Torrent[]>([]);
  const [off, setOff] = useState(false);
  const load = useCallback(async () => {
    try {
      setTorrents((await get<{ torrents: Torrent[] }>("/api/torrents")).torrents);
      setOff(false);
    } catch (error) {
      if (error instanceof ApiError) setOff(true);
    }
  }, []);
  useEffect(() => {
    void load();
    const timer = setInterval(() => void load(), 1000);
    return () => clearInterval(timer);
  }, [load]);
  return { torrents, off, reload: () => void load() };
}

async function attempt(task: Promise<unknown>, reload: () => void): Promise<boolean> {
  try {
    await task;
    reload();
    return true;
  } catch (error) {
    const text = error instanceof Error ? error.message : String(error);
    toast({ kind: "bad", key: "action_failed", text });
    return false;
  }
}

function Row({ torrent, reload }: { torrent: Torrent; reload: () => void }) {
  const { t, language } = useTranslation();
  const send = (action: string) => () =>
    void attempt(post(`${pathOf(torrent.id)}/${action}`), reload);
  const paused = torrent.state === "paused";
  const items = [
    paused
      ? { key: "resume", label: t("resume"), run: send("resume") }
      : { key: "pause", label: t("pause"), run: send("pause") },
    { key: "recheck", label: t("verify"), run: send("recheck") },
    {
      key: "forget",
      label: t("forget"),
      run: () => void attempt(remove(pathOf(torrent.id)), reload),
    },
  ];
  return (
    <article className="panel torrent">
      <div className="torrent-head">
        <h3>{torrent.name || torrent.id.slice(0, 16)}</h3>
        <span className="badge cool">{torrent.state}</span>
        <Menu label={t("more", { title: torrent.name })} items={items} />
      </div>
      <Bar part={partOf(torrent)} label={torrent.name} still={paused} />
      <p className="numbers">
        {Math.floor(partOf(torrent) * 100)} % · ↓ {rate(torrent.down_rate ?? 0, language)} · ↑{" "}
        {rate(torrent.up_rate ?? 0, language)} · {t("peers")}: {torrent.peers ?? 0}
        {torrent.ratio !== undefined && (
          <>
            {" "}
            · {t("ratio")}: {torrent.ratio.toLocaleString(language, { maximumFractionDigits: 2 })}
          </>
        )}
      </p>
      {torrent.error && <p className="error">{torrent.error}</p>}
    </article>
  );
}

export function Torrents() {
  const { t } = useTranslation();
  const { torrents, off, reload } = useTorrents();
  const [magnet, setMagnet] = useState("");
  const add = async (event: FormEvent): Promise<void> => {
    event.preventDefault();
    if (await attempt(post("/api/torrents", { magnet }), reload)) setMagnet("");
  };
  if (off)
    return (
      <div className="page empty">
        <Icon name="swarm" />
        <h2>{t("engine_off")}</h2>
        <p>{t("engine_off_hint")}</p>
      </div>
    );
  return (
    <div className="page">
      <h2>{t("swarm_engine")}</h2>
      <form className="row" onSubmit={(event) => void add(event)}>
        <label className="grow">
          {t("magnet")}
          <input
            value={magnet}
            onChange={(event) => setMagnet(event.target.value)}
            placeholder="magnet:?xt=urn:btmh:…"
          />
        </label>
        <button type="submit" className="main get" disabled={!magnet.startsWith("magnet:")}>
          {t("add")}
        </button>
      </form>
      {torrents.length === 0 && (
        <div className="empty small">
          <Icon name="swarm" />
          <h3>{t("no_torrents")}</h3>
          <p>{t("no_torrents_hint")}</p>
        </div>
      )}
      {torrents.map((torrent) => (
        <Row key={torrent.id} torrent={torrent} reload={reload} />
      ))}
    </div>
  );
}
