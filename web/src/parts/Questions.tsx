// What is asked before something is done: which content, and whether really.

import { useState } from "react";
import { act, type Action, type ActionOptions } from "../actions";
import { bytes, version } from "../format";
import { useTranslation } from "../i18n";
import type { Game, Variant } from "../types";
import { Dialog } from "./Dialog";
import { useHolders } from "./Holders";

interface VariantsProps {
  game: Game;
  action: Action;
  variants: readonly Variant[];
  onClose: () => void;
}

export function VariantsDialog({ game, action, variants, onClose }: VariantsProps) {
  const { t, many, language } = useTranslation();
  const most = [...variants].sort((a, b) => b.holders - a.holders);
  const holders = useHolders(game);
  const namesOf = (variant: Variant): string =>
    (holders ?? [])
      .filter((holder) => holder.content === variant.content)
      .map((holder) => holder.name)
      .join(", ");
  return (
    <Dialog title={t("variants_title")} onClose={onClose}>
      <p>{t("variants_text", { title: game.title })}</p>
      <ul className="variants">
        {most.map((variant) => (
          <li key={variant.content}>
            <div>
              <b>{version(variant.version, language)}</b> · {bytes(variant.size, language)} ·{" "}
              {many("holders", variant.holders)}
              <p className="detail">{namesOf(variant)}</p>
              <code>{variant.content.slice(0, 16)}</code>
            </div>
            <button
              type="button"
              className="main get"
              onClick={() => {
                void act(game, action, { variant: variant.content });
                onClose();
              }}
            >
              {t("choose")}
            </button>
          </li>
        ))}
      </ul>
    </Dialog>
  );
}

interface ConfirmProps {
  game: Game;
  action: "uninstall" | "remove";
  onClose: () => void;
}

export function ConfirmDialog({ game, action, onClose }: ConfirmProps) {
  const { t } = useTranslation();
  const [purge, setPurge] = useState(false);
  const options: ActionOptions = action === "uninstall" && purge ? { purge } : {};
  return (
    <Dialog title={t(`${action}_title`, { title: game.title })} onClose={onClose}>
      <p>{t(`${action}_text`)}</p>
      {action === "uninstall" && (
        <label className="check">
          <input type="checkbox" checked={purge} onChange={(e) => setPurge(e.target.checked)} />
          {t("uninstall_purge")}
        </label>
      )}
      <div className="dialog-actions">
        <button type="button" onClick={onClose}>
          {t("cancel")}
        </button>
        <button
          type="button"
          className="danger"
          onClick={() => {
            void act(game, action, options);
            onClose();
          }}
        >
          {t(action)}
        </button>
      </div>
    </Dialog>
  );
}
