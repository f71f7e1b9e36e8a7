import { useEffect, useId, useState, type FormEvent, type ReactNode } from "react";
import { get, post, put } from "../api";
import { bytes, duration, parseRate, serviceName, showRate } from "../format";
import { languages, useTranslation, type Key, type Language } from "../i18n";
import { Icon } from "../parts/Icon";
import { refreshStatus, useStore } from "../store";
import { chosenTheme, setTheme, themes, type Theme } from "../theme";
import type { Config, Limits } from "../types";

interface Outcome {
  good: boolean;
  text: string;
}

/** Runs a change and tells beside its field how it went. */
function useOutcome(): [Outcome | null, (task: () => Promise<string>) => void, () => void] {
  const [outcome, setOutcome] = useState<Outcome | null>(null);
  const attempt = (task: () => Promise<string>): void => {
    void task().then(
      (text) => setOutcome({ good: true, text }),
      (error: unknown) =>
        setOutcome({ good: false, text: error instanceof Error ? error.message : String(error) }),
    );
  };
  return [outcome, attempt, () => setOutcome(null)];
}

function Note({ outcome, id }: { outcome: Outcome | null; id: string }) {
  return (
    <p id={id} className={outcome?.good ? "note good" : "note bad"} role="status">
      {outcome && (
        <>
          <Icon name={outcome.good ? "check" : "warn"} /> {outcome.text}
        </>
      )}
    </p>
  );
}

interface FieldProps {
  title: Key;
  hint: Key;
  value: string;
  fixed: boolean;
  extra?: ReactNode;
  save: (value: string) => Promise<string>;
  check?: (value: string) => Promise<string>;
}

function Field({ title, hint, value, fixed, save, check }: FieldProps) {
  const { t } = useTranslation();
  const id = useId();
  const [text, setText] = useState(value);
  const [outcome, attempt, reset] = useOutcome();
  useEffect(() => setText(value), [value]);
  const submit = (event: FormEvent): void => {
    event.preventDefault();
    attempt(() => save(text));
  };
  return (
    <form className="field" onSubmit={submit}>
      <label htmlFor={id}>{t(title)}</label>
      <p className="hint">{t(fixed ? "fixed" : hint)}</p>
      <div className="row">
        <input
          id={id}
          className="grow"
          value={text}
          disabled={fixed}
          spellCheck={false}
          aria-describedby={`${id}-note`}
          onChange={(event) => {
            setText(event.target.value);
            reset();
          }}
        />
        {check && (
          <button type="button" disabled={fixed} onClick={() => attempt(() => check(text))}>
            {t("check")}
          </button>
        )}
        <button type="submit" className="main" disabled={fixed || text === value}>
          {t("save")}
        </button>
      </div>
      <Note id={`${id}-note`} outcome={outcome} />
    </form>
  );
}

function useConfig(): [Config, () => void] {
  const [config, setConfig] = useState<Config>({ config: {}, fixed: [] });
  const load = (): void => {
    get<Config>("/api/config").then(setConfig, () => undefined); // the banner says what is wrong
  };
  useEffect(load, []);
  return [config, load];
}

function Folder({ config, reload }: { config: Config; reload: () => void }) {
  const { t, language } = useTranslation();
  const busy = useStore((state) =>
    [...state.games.values()].some(
      (game) => game.operation !== "none" && game.operation !== "hashing" && !game.waiting,
    ),
  );
  const current = useStore((state) => state.status?.games_dir) ?? "";
  const check = async (path: string): Promise<string> => {
    const answer = await post<{ exists: boolean; free: number }>("/api/games-dir/check", { path });
    const free = bytes(answer.free, language);
    return t(answer.exists ? "folder_ok" : "folder_new", { free });
  };
  return (
    <>
      <Field
        title="games_folder"
        hint={busy ? "folder_busy" : "games_folder_hint"}
        value={current}
        fixed={config.fixed.includes("games_dir")}
        check={check}
        save={async (path) => {
          await put("/api/games-dir", { path });
          refreshStatus();
          reload();
          return t("saved");
        }}
      />
    </>
  );
}

function LimitFields() {
  const { t } = useTranslation();
  const [limits, setLimits] = useState<Limits | null>(null);
  useEffect(() => {
    get<Limits>("/api/limits").then(setLimits, () => undefined); // the banner says what is wrong
  }, []);
  if (!limits) return null;
  const save = (key: "up" | "down") => async (text: string): Promise<string> => {
    const value = parseRate(text);
    if (value === null) throw new Error(t("limit_bad"));
    setLimits(await put<Limits>("/api/limits", { [key]: value }));
    return t("saved");
  };
  return (
    <>
      <Field title="limit_down" hint="limits_hint" value={showRate(limits.down)} fixed={false} save={save("down")} />
      <Field title="limit_up" hint="limits_hint" value={showRate(limits.up)} fixed={false} save={save("up")} />
      <label className="check field">
        <input
          type="checkbox"
          checked={limits.pause_uploads}
          onChange={(event) =>
            void put<Limits>("/api/limits", { pause_uploads: event.target.checked }).then((next) => {
              setLimits(next);
              refreshStatus();
            }, () => undefined)
          }
        />
        <span>
          {t("pause_uploads")}
          <span className="hint">{t("pause_uploads_hint")}</span>
        </span>
      </label>
    </>
  );
}

function Swarm({ config, reload }: { config: Config; reload: () => void }) {
  const { t } = useTranslation();
  const id = useId();
  const [outcome, attempt] = useOutcome();
  const fixed = config.fixed.includes("swarm");
  return (
    <div className="field">
      <label htmlFor={id}>{t("swarm_mode")}</label>
      <p className="hint">{t(fixed ? "fixed" : "swarm_hint")}</p>
      <select
        id={id}
        value={String(config.config["swarm"] ?? "off")}
        disabled={fixed}
        onChange={(event) => {
          const value = event.target.value;
          attempt(async () => {
            await put("/api/config/swarm", { value });
            refreshStatus();
            reload();
            return t("saved");
          });
        }}
      >
        <option value="off">{t("swarm_off")}</option>
        <option value="lan">{t("swarm_lan")}</option>
        <option value="internet">{t("swarm_internet")}</option>
      </select>
      <Note id={`${id}-note`} outcome={outcome} />
    </div>
  );
}

function Notifications() {
  const { t } = useTranslation();
  const supported = "Notification" in window;
  const [permission, setPermission] = useState(supported ? Notification.permission : "denied");
  return (
    <div className="field">
      <b>{t("notifications")}</b>
      <p className="hint">{t("notifications_hint")}</p>
      {permission === "default" && (
        <button type="button" onClick={() => void Notification.requestPermission().then(setPermission)}>
          {t("notifications_ask")}
        </button>
      )}
      {permission !== "default" && (
        <p>{t(permission === "granted" ? "notifications_on" : "notifications_denied")}</p>
      )}
    </div>
  );
}

function Look({ onLanguage }: { onLanguage: (language: Language) => void }) {
  const { t, language } = useTranslation();
  const [theme, choose] = useState<Theme>(chosenTheme);
  return (
    <>
      <label className="field">
        {t("theme")}
        <select
          value={theme}
          onChange={(event) => {
            const next = event.target.value as Theme;
            choose(next);
            setTheme(next);
          }}
        >
          {themes.map((item) => (
            <option key={item} value={item}>
              {t(`theme_${item}`)}
            </option>
          ))}
        </select>
      </label>
      <label className="field">
        {t("language")}
        <select value={language} onChange={(event) => onLanguage(event.target.value as Language)}>
          {Object.entries(languages).map(([key, name]) => (
            <option key={key} value={key}>
              {name}
            </option>
          ))}
        </select>
      </label>
      <Notifications />
    </>
  );
}

function HealthList() {
  const { t, maybe, many } = useTranslation();
  const status = useStore((state) => state.status);
  if (!status) return null;
  const stateName = (state: string): string => {
    const words = maybe(`service_state_${state}`);
    return words.startsWith("service_state_") ? state : words;
  };
  const stumbling = status.services.some(({ state }) => state !== "running" && state !== "stopped");
  return (
    <ul className="services">
      {status.health.state === "ok" && !stumbling && (
        <li className="good">
          <Icon name="check" />
          <span>{t("health_ok")}</span>
        </li>
      )}
      {status.services.map((service) => (
        <li key={service.name} className={service.state === "running" ? "good" : "bad"}>
          <Icon name={service.state === "running" ? "check" : "warn"} />
          <span>
            {t("labelled", {
              name: serviceName(maybe, service.name),
              state: stateName(service.state),
            })}
            {service.restarts > 0 && <small>{many("restarts", service.restarts)}</small>}
            {service.error && <small className="error">{service.error}</small>}
          </span>
        </li>
      ))}
    </ul>
  );
}

function About() {
  const { t, language } = useTranslation();
  const status = useStore((state) => state.status);
  if (!status) return null;
  return (
    <dl className="facts-list">
      <div>
        <dt>lanspread</dt>
        <dd>{status.version}</dd>
      </div>
      <div>
        <dt>{t("peer_id")}</dt>
        <dd>
          <code>{status.peer_id}</code>
        </dd>
      </div>
      <div>
        <dt>{t("address")}</dt>
        <dd>{status.listen.join(", ")}</dd>
      </div>
      <div>
        <dt>{t("up_since")}</dt>
        <dd>{duration(status.uptime_s)}</dd>
      </div>
      <div>
        <dt>{t("sent")}</dt>
        <dd>{bytes(status.sent, language)}</dd>
      </div>
      <div>
        <dt>{t("received")}</dt>
        <dd>{bytes(status.received, language)}</dd>
      </div>
    </dl>
  );
}

export function Settings({ onLanguage }: { onLanguage: (language: Language) => void }) {
  const { t } = useTranslation();
  const [config, reload] = useConfig();
  const text = (key: string): string => String(config.config[key] ?? "");
  const saveKey = (key: string) => async (value: string): Promise<string> => {
    await put(`/api/config/${key}`, { value });
    reload();
    refreshStatus();
    return t("saved");
  };
  const fixed = (key: string): boolean => config.fixed.includes(key);
  return (
    <div className="page settings">
      <section className="panel">
        <h2>{t("settings")}</h2>
        <Folder config={config} reload={reload} />
        <Field title="your_name" hint="your_name_hint" value={text("name")} fixed={fixed("name")} save={saveKey("name")} />
        <Field title="interface" hint="interface_hint" value={text("interface")} fixed={fixed("interface")} save={saveKey("interface")} />
        <Swarm config={config} reload={reload} />
      </section>
      <section className="panel">
        <h2>{t("limits")}</h2>
        <LimitFields />
      </section>
      <section className="panel">
        <h2>{t("look")}</h2>
        <Look onLanguage={onLanguage} />
      </section>
      <section className="panel">
        <h2>{t("health")}</h2>
        <HealthList />
      </section>
      <section className="panel">
        <h2>{t("about")}</h2>
        <About />
      </section>
    </div>
  );
}
