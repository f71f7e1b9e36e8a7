import { useEffect, useState } from "react";
import { useTranslation } from "../i18n";
import { serviceName } from "../format";
import { dismiss, useStore } from "../store";
import { Icon } from "./Icon";

const ALONE_AFTER = 6000; // milliseconds: others are found within one or two seconds

let toldAlone = false;

/** Nobody is here: what to do. The party view says so itself. */
function Alone() {
  const { t } = useTranslation();
  const alone = useStore((state) => state.connection === "live" && state.status?.peers === 0);
  const [told, setTold] = useState(false);
  useEffect(() => {
    if (!alone || toldAlone) return;
    const timer = setTimeout(() => setTold(true), ALONE_AFTER);
    return () => {
      clearTimeout(timer);
      setTold(false);
    };
  }, [alone]);
  if (!told) return null;
  return (
    <div className="banner">
      <Icon name="peers" />
      <p>
        <b>{t("no_peers")}.</b> {t("no_peers_hint")}
      </p>
      <button
        type="button"
        className="quiet round"
        aria-label={t("dismiss")}
        onClick={() => {
          toldAlone = true;
          setTold(false);
        }}
      >
        <Icon name="cancel" />
      </button>
    </div>
  );
}

/** What is wrong with the whole of it, in words, most serious first. */
export function Banners({ view }: { view: string }) {
  const { t, maybe } = useTranslation();
  const words = (name: string): string => {
    const key = `degraded_${name.replaceAll("-", "_")}`;
    const text = maybe(key);
    return text === key ? name : text;
  };
  const connection = useStore((state) => state.connection);
  const crash = useStore((state) => state.crash);
  const health = useStore((state) => state.status?.health);
  const paused = useStore((state) => state.status?.limits?.pause_uploads);
  return (
    <div className="banners" aria-live="polite">
      {crash && (
        <div className="banner bad">
          <Icon name="warn" />
          <p>
            <b>{t("crash", { component: serviceName(maybe, crash.component) })}</b> {crash.error} {t("crash_hint")}
          </p>
        </div>
      )}
      {connection === "lost" && (
        <div className="banner lost">
          <span className="spinner" aria-hidden="true" />
          <p>
            <b>{t("lost")}</b> {t("lost_hint")}
          </p>
        </div>
      )}
      {connection === "locked" && (
        <div className="banner bad">
          <Icon name="warn" />
          <p>
            <b>{t("locked")}</b> {t("locked_hint")}
          </p>
        </div>
      )}
      {connection === "live" && health && health.state !== "ok" && (
        <div className="banner warm">
          <Icon name="warn" />
          <p>
            <b>{t(health.state === "failed" ? "health_failed" : "health_degraded")}:</b>{" "}
            {health.degraded.map(words).join(" ")}
          </p>
        </div>
      )}
      {view !== "party" && <Alone />}
      {connection === "live" && paused && (
        <div className="banner">
          <Icon name="pause" />
          <p>{t("uploads_paused")}</p>
        </div>
      )}
    </div>
  );
}

export function Toasts() {
  const { t, maybe } = useTranslation();
  const toasts = useStore((state) => state.toasts);
  return (
    <div className="toasts" role="log" aria-live="polite" aria-label={t("notifications")}>
      {toasts.map((toast) => (
        <div key={toast.id} className={`toast ${toast.kind}`}>
          <Icon name={toast.kind === "good" ? "check" : toast.kind === "bad" ? "warn" : "info"} />
          <div>
            <b>{maybe(toast.key, { title: toast.title ?? "" })}</b>
            {toast.text && <p>{toast.text}</p>}
          </div>
          <button
            type="button"
            className="quiet round"
            aria-label={t("dismiss")}
            onClick={() => dismiss(toast.id)}
          >
            <Icon name="cancel" />
          </button>
        </div>
      ))}
    </div>
  );
}
