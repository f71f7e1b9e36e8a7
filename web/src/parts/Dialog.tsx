import { useLayoutEffect, useRef, type ReactNode } from "react";
import { useTranslation } from "../i18n";
import { Icon } from "./Icon";

interface Props {
  title: string;
  kind?: "dialog" | "sheet";
  onClose: () => void;
  children: ReactNode;
}

/** The browser's own modal: it keeps the focus inside, closes on Escape, and gives the focus back. */
export function Dialog({ title, kind = "dialog", onClose, children }: Props) {
  const ref = useRef<HTMLDialogElement>(null);
  const { t } = useTranslation();
  // A layout effect: closed while it is still in the document, it gives the focus back.
  useLayoutEffect(() => {
    const dialog = ref.current;
    dialog?.showModal();
    return () => dialog?.close();
  }, []);
  return (
    <dialog
      ref={ref}
      className={kind}
      aria-label={title}
      onCancel={(event) => {
        event.preventDefault();
        onClose();
      }}
      onClick={(event) => {
        if (event.target === ref.current) onClose();
      }}
    >
      <div className="dialog-body">
        <header className="dialog-head">
          <h2>{title}</h2>
          <button type="button" className="quiet round" onClick={onClose} aria-label={t("close")}>
            <Icon name="cancel" />
          </button>
        </header>
        {children}
      </div>
    </dialog>
  );
}
