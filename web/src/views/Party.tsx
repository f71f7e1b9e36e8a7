import { useEffect } from "react";
import { remove } from "../api";
import { bytes, rate } from "../format";
import { useTranslation } from "../i18n";
import { Avatar } from "../parts/Avatar";
import { Chart } from "../parts/Chart";
import { ChunkMap } from "../parts/ChunkMap";
import { Icon } from "../parts/Icon";
import { Bar, partOf, ProgressText } from "../parts/ProgressBar";
import { refreshPeers, useStore } from "../store";
import type { Game, Peer } from "../types";

function useRefreshingPeers(): void {
  useEffect(() => {
    refreshPeers();
    const timer = setInterval(refreshPeers, 1000);
    return () => clearInterval(timer);
  }, []);
}

function PeerRow({ peer }: { peer: Peer }) {
  const { t, language } = useTranslation();
  return (
    <tr className={peer.connected ? "" : "away"}>
      <th scope="row">
        <div>
          <Avatar id={peer.id} name={peer.name} />
          <span>
            {peer.name}
            <small>
              {t(peer.connected ? "connected" : "not_connected")} · {peer.id.slice(0, 8)}
            </small>
          </span>
        </div>
      </th>
      <td data-label={t("address")}>
        <code>{peer.address}</code>
      </td>
      <td data-label={t("games")} className="number">
        {peer.games.toLocaleString(language)}
      </td>
      <td data-label={t("sent")} className="number">
        {bytes(peer.sent, language)}
        {!!peer.up_rate && <small className="up">↑ {rate(peer.up_rate, language)}</small>}
      </td>
      <td data-label={t("received")} className="number">
        {bytes(peer.received, language)}
        {!!peer.down_rate && <small className="down">↓ {rate(peer.down_rate, language)}</small>}
      </td>
      <td data-label={t("latency")} className="number">
        {typeof peer.rtt_ms === "number"
          ? `${peer.rtt_ms.toLocaleString(language, { maximumFractionDigits: 1 })} ms`
          : "–"}
      </td>
      <td>
        <button
          type="button"
          className="quiet"
          aria-label={t("forget_peer", { name: peer.name })}
          onClick={() =>
            void remove(`/api/peers/${encodeURIComponent(peer.id)}`).then(refreshPeers, refreshPeers)
          }
        >
          {t("forget")}
        </button>
      </td>
    </tr>
  );
}

function Peers() {
  const { t } = useTranslation();
  const peers = useStore((state) => state.peers);
  if (peers.length === 0)
    return (
      <div className="empty small">
        <Icon name="peers" />
        <h3>{t("no_peers")}</h3>
        <p>{t("no_peers_hint")}</p>
      </div>
    );
  return (
    <table className="peers">
      <thead>
        <tr>
          <th scope="col">{t("name")}</th>
          <th scope="col">{t("address")}</th>
          <th scope="col">{t("games")}</th>
          <th scope="col">{t("sent")}</th>
          <th scope="col">{t("received")}</th>
          <th scope="col">{t("latency")}</th>
          <td />
        </tr>
      </thead>
      <tbody>
        {peers.map((peer) => (
          <PeerRow key={peer.id} peer={peer} />
        ))}
      </tbody>
    </table>
  );
}

function DownloadRow({ game }: { game: Game }) {
  const { t } = useTranslation();
  const progress = useStore((state) => state.progress.get(game.id));
  return (
    <article className="panel">
      <h3>{game.title}</h3>
      <Bar part={partOf(progress)} label={`${t("downloading")}: ${game.title}`} />
      <p className="numbers">
        <ProgressText game={game} progress={progress} />
      </p>
      <ChunkMap game={game.id} title={game.title} />
    </article>
  );
}

export function Party() {
  const { t } = useTranslation();
  const samples = useStore((state) => state.samples);
  const games = useStore((state) => state.games);
  useRefreshingPeers();
  const downloads = [...games.values()].filter(
    (game) => game.operation === "downloading" || game.operation === "updating",
  );
  return (
    <div className="page">
      <section className="panel">
        <h2>{t("throughput")}</h2>
        <Chart samples={samples} />
      </section>
      <section className="panel">
        <h2>{t("peers")}</h2>
        <Peers />
      </section>
      <section>
        <h2>{t("chunk_map")}</h2>
        {downloads.length === 0 && <p className="faint">{t("no_downloads")}</p>}
        {downloads.map((game) => (
          <DownloadRow key={game.id} game={game} />
        ))}
      </section>
    </div>
  );
}
