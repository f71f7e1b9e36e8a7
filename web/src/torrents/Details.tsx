// One torrent: its files and which of them are wanted, its peers, its trackers, its limits.

import { useCallback, useEffect, useState, type FormEvent, type ReactNode } from "react";
import { get } from "../api";
import { bytes, parseRate, rate, showRate } from "../format";
import { useTranslation, type Key } from "../i18n";
import { Dialog } from "../parts/Dialog";
import { Icon } from "../parts/Icon";
import type { Torrent } from "../types";
import { attempt, pathOf, torrents, type TorrentFile, type TorrentPeer, type Tracker } from "./api";

const SHOWN = 300; // files and peers; more is nobody's reading

/** A list that the engine gives, asked for again every other second. */
function useList<T>(torrent: Torrent, part: string): [readonly T[], () => void] {
  const [list, setList] = useState<readonly T[]>([]);
  const load = useCallback(() => {
    get<Record<string, T[]>>(`${pathOf(torrent)}/${part}`).then(
      (answer) => setList(answer[part] ?? []),
      () => undefined, // it was removed: the dialog closes
    );
  }, [torrent.id, part]);
  useEffect(() => {
    load();
    const timer = setInterval(load, 2000);
    return () => clearInterval(timer);
  }, [load]);
  return [list, load];
}

function Section({ title, children }: { title: Key; children: ReactNode }) {
  const { t } = useTranslation();
  return (
    <section className="torrent-part">
      <h3>{t(title)}</h3>
      {children}
    </section>
  );
}

function Files({ torrent }: { torrent: Torrent }) {
  const { t, language } = useTranslation();
  const [files, reload] = useList<TorrentFile>(torrent, "files");
  const choose = async (path: string, wanted: boolean): Promise<void> => {
    const priorities: Record<string, string> = {};
    for (const file of files) if (file.priority !== "normal") priorities[file.path] = file.priority;
    if (wanted) delete priorities[path];
    else priorities[path] = "skip";
    if (await attempt(torrents.select(torrent, priorities))) reload();
  };
  if (files.length === 0) return <p className="faint">{t("torrent_no_files")}</p>;
  return (
    <ul className="files">
      {files.slice(0, SHOWN).map((file) => (
        <li key={file.path}>
          <label>
            <input
              type="checkbox"
              checked={file.priority !== "skip"}
              onChange={(event) => void choose(file.path, event.target.checked)}
            />
            <span>{file.path}</span>
          </label>
          <span>
            {file.size > 0 ? `${Math.floor((file.done / file.size) * 100)} % · ` : ""}
            {bytes(file.size, language)}
          </span>
        </li>
      ))}
    </ul>
  );
}

function Peers({ torrent }: { torrent: Torrent }) {
  const { t, language } = useTranslation();
  const [peers] = useList<TorrentPeer>(torrent, "peers");
  if (peers.length === 0) return <p className="faint">{t("torrent_no_peers")}</p>;
  return (
    <ul className="files">
      {peers.slice(0, SHOWN).map((peer) => (
        <li key={peer.address}>
          <span>
            <code>{peer.address}</code> {peer.client}
          </span>
          <span>
            {Math.floor(peer.progress * 100)} % · ↓ {rate(peer.download_rate, language)} · ↑{" "}
            {rate(peer.upload_rate, language)}
          </span>
        </li>
      ))}
    </ul>
  );
}

function Trackers({ torrent }: { torrent: Torrent }) {
  const { t } = useTranslation();
  const [trackers, reload] = useList<Tracker>(torrent, "trackers");
  const [url, setUrl] = useState("");
  const change = async (what: { add?: string[]; remove?: string[] }): Promise<void> => {
    if (await attempt(torrents.trackers(torrent, what))) {
      setUrl("");
      reload();
    }
  };
  const add = (event: FormEvent): void => {
    event.preventDefault();
    void change({ add: [url] });
  };
  return (
    <>
      {trackers.length === 0 && <p className="faint">{t("torrent_no_trackers")}</p>}
      <ul className="files">
        {trackers.map((tracker) => (
          <li key={tracker.url}>
            <span>
              {tracker.url}
              {tracker.message && <small className="error"> {tracker.message}</small>}
            </span>
            <span>
              {t(`tracker_${tracker.status}` as Key)}
              <button
                type="button"
                className="quiet round"
                aria-label={t("tracker_remove", { url: tracker.url })}
                onClick={() => void change({ remove: [tracker.url] })}
              >
                <Icon name="cancel" />
              </button>
            </span>
          </li>
        ))}
      </ul>
      <form className="row" onSubmit={add}>
        <input
          className="grow"
          aria-label={t("tracker_url")}
          placeholder="http://…/announce"
          value={url}
          onChange={(event) => setUrl(event.target.value)}
        />
        <button type="submit" disabled={!/^(https?|udp):\/\/./.test(url)}>
          {t("add")}
        </button>
      </form>
    </>
  );
}

function Limit({ torrent, which }: { torrent: Torrent; which: "max_download" | "max_upload" }) {
  const { t } = useTranslation();
  const [text, setText] = useState(showRate(torrent[which] ?? 0));
  const value = parseRate(text);
  const save = (event: FormEvent): void => {
    event.preventDefault();
    if (value !== null) void attempt(torrents.limits(torrent, { [which]: value }));
  };
  return (
    <form className="row" onSubmit={save}>
      <label className="grow">
        {t(which === "max_download" ? "limit_down" : "limit_up")}
        <input value={text} onChange={(event) => setText(event.target.value)} />
      </label>
      <button type="submit" disabled={value === null || value === (torrent[which] ?? 0)}>
        {t("save")}
      </button>
    </form>
  );
}

export function TorrentDetails({ torrent, onClose }: { torrent: Torrent; onClose: () => void }) {
  const { t } = useTranslation();
  return (
    <Dialog title={torrent.name || torrent.id.slice(0, 16)} kind="sheet" onClose={onClose}>
      <p className="detail">
        {torrent.save_path} · <code>{torrent.id}</code>
      </p>
      <Section title="files">
        <Files torrent={torrent} />
      </Section>
      <Section title="peers">
        <Peers torrent={torrent} />
      </Section>
      <Section title="trackers">
        <Trackers torrent={torrent} />
      </Section>
      <Section title="limits">
        <p className="hint">{t("limits_hint")}</p>
        <Limit torrent={torrent} which="max_download" />
        <Limit torrent={torrent} which="max_upload" />
      </Section>
    </Dialog>
  );
}
