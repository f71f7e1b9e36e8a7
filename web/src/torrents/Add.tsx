import { useRef, useState, type FormEvent } from "react";
import { bytes } from "../format";
import { useTranslation } from "../i18n";
import { toast } from "../store";
import { attempt, torrents, TORRENT_FILE_MAX } from "./api";

/** A magnet link, or a .torrent file; both as a game of the shelf too. */
export function AddTorrent({ onAdded }: { onAdded: () => void }) {
  const { t, language } = useTranslation();
  const [link, setLink] = useState("");
  const [asGame, setAsGame] = useState(false);
  const file = useRef<HTMLInputElement>(null);
  const submit = async (event: FormEvent): Promise<void> => {
    event.preventDefault();
    if (!(await attempt(torrents.addLink(link.trim(), asGame)))) return;
    setLink("");
    onAdded();
  };
  const take = async (chosen: File | undefined): Promise<void> => {
    if (chosen && chosen.size > TORRENT_FILE_MAX) {
      const values = { name: chosen.name, limit: bytes(TORRENT_FILE_MAX, language) };
      toast({ kind: "bad", key: "action_failed", text: t("torrent_file_large", values) });
    } else if (chosen && (await attempt(torrents.addFile(chosen, asGame)))) onAdded();
    if (file.current) file.current.value = "";
  };
  return (
    <form className="panel add-torrent" onSubmit={(event) => void submit(event)}>
      <div className="row">
        <label className="grow">
          {t("magnet")}
          <input
            value={link}
            onChange={(event) => setLink(event.target.value)}
            placeholder="magnet:?xt=urn:btmh:…"
            spellCheck={false}
          />
        </label>
        <button type="submit" className="main get" disabled={!/^(magnet:|\/)./i.test(link.trim())}>
          {t("add")}
        </button>
        <button type="button" onClick={() => file.current?.click()}>
          {t("torrent_file")}
        </button>
        <input
          ref={file}
          type="file"
          accept=".torrent,application/x-bittorrent"
          aria-label={t("torrent_file")}
          hidden
          onChange={(event) => void take(event.target.files?.[0])}
        />
      </div>
      <label className="check">
        <input type="checkbox" checked={asGame} onChange={(e) => setAsGame(e.target.checked)} />
        {t("torrent_as_game")}
      </label>
    </form>
  );
}
