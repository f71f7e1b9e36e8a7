import { useTranslation } from "../i18n";
import { dismiss, useStore } from "../store";
import { Icon } from "./Icon";

/** What is wrong with the whole of it, in words, most serious first. */
export function Banners() {
  const { t } = useTranslation();
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
            <b>{t("crash", { component: crash.component })}</b> {crash.error} {t("crash_hint")}
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
            {health.degraded.join(", ")}
          </p>
        </div>
      )}
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
