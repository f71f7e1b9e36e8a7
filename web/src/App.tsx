import { useCallback, useEffect, useMemo, useState } from "react";
import { act, isSection, type Action, type Section } from "./actions";
import { rate } from "./format";
import {
  preferredLanguage,
  translation,
  TranslationContext,
  useTranslation,
  type Language,
} from "./i18n";
import { startNotifications } from "./notify";
import { Banners, Toasts } from "./parts/Banners";
import { Boundary } from "./parts/Boundary";
import { Icon, type IconName } from "./parts/Icon";
import { Bar } from "./parts/ProgressBar";
import { ConfirmDialog, VariantsDialog } from "./parts/Questions";
import { currentState, refreshStatus, useStore } from "./store";
import type { Variant } from "./types";
import { GameSheet } from "./views/GameSheet";
import { Party } from "./views/Party";
import { Settings } from "./views/Settings";
import { Shelf } from "./views/Shelf";
import { Torrents } from "./views/Torrents";

const views = ["shelf", "party", "torrents", "settings"] as const;
type View = (typeof views)[number];
const icons: Record<View, IconName> = {
  shelf: "shelf",
  party: "peers",
  torrents: "swarm",
  settings: "settings",
};

const viewOf = (hash: string): View =>
  views.find((view) => hash === `#/${view}`) ?? "shelf";

function useView(): View {
  const [view, setView] = useState<View>(() => viewOf(location.hash));
  useEffect(() => {
    const change = (): void => {
      setView(viewOf(location.hash));
      window.scrollTo({ top: 0 });
    };
    window.addEventListener("hashchange", change);
    return () => window.removeEventListener("hashchange", change);
  }, []);
  return view;
}

function Overall() {
  const { t, many, language } = useTranslation();
  const games = useStore((state) => state.games);
  const progress = useStore((state) => state.progress);
  const live = useStore((state) => state.connection === "live");
  const running = [...games.values()].filter((game) => game.operation !== "none");
  if (running.length === 0) return null;
  let done = 0;
  let total = 0;
  let speed = 0;
  for (const game of running) {
    const part = progress.get(game.id);
    done += part?.done ?? 0;
    total += part?.total ?? 0;
    speed += part?.rate ?? 0;
  }
  const label = many("overall", running.length);
  return (
    <a className="overall" href="#/party" aria-label={`${label}: ${t("party")}`}>
      <span>
        {label}
        {speed > 0 && <b> {rate(speed, language)}</b>}
      </span>
      <Bar part={total > 0 ? done / total : null} label={label} still={!live} />
    </a>
  );
}

function Header({ view }: { view: View }) {
  const { t, many } = useTranslation();
  const peers = useStore((state) => state.peers.filter((peer) => peer.connected).length);
  const name = useStore((state) => state.status?.name);
  const connection = useStore((state) => state.connection);
  const words =
    connection !== "live"
      ? t(connection === "connecting" ? "connecting" : "lost")
      : peers === 0
        ? t("no_peers_short")
        : many("peers_short", peers);
  return (
    <header className="top">
      <a className="skip" href="#content" onClick={skipToContent}>
        {t("skip")}
      </a>
      <a className="brand" href="#/shelf">
        <img src="/icon.svg" alt="" width="34" height="34" />
        <h1>lanspread</h1>
      </a>
      <nav aria-label="lanspread">
        {views.map((item) => (
          <a key={item} href={`#/${item}`} aria-current={item === view ? "page" : undefined}>
            <Icon name={icons[item]} />
            <span>{t(item)}</span>
          </a>
        ))}
      </nav>
      <Overall />
      <a className={`who ${connection}`} href="#/party" title={name}>
        <i aria-hidden="true" />
        <span>{words}</span>
      </a>
    </header>
  );
}

function skipToContent(event: { preventDefault: () => void }): void {
  event.preventDefault();
  document.getElementById("content")?.focus();
}

function useStatusPolling(view: View): void {
  useEffect(() => {
    const timer = setInterval(
      () => {
        if (!document.hidden && currentState().connection === "live") refreshStatus();
      },
      view === "party" ? 1000 : 4000,
    );
    return () => clearInterval(timer);
  }, [view]);
}

interface Question {
  game: string;
  action: Action;
  variants?: Variant[];
}

function Main({ view, onLanguage }: { view: View; onLanguage: (language: Language) => void }) {
  const [open, setOpen] = useState<{ id: string; section: Section | null } | null>(null);
  const [question, setQuestion] = useState<Question | null>(null);
  const games = useStore((state) => state.games);
  useStatusPolling(view);

  const choose = useCallback((id: string, action: Action) => {
    const game = currentState().games.get(id);
    if (!game) return;
    if (isSection(action)) {
      setOpen({ id, section: action });
      return;
    }
    if (action === "uninstall" || action === "remove") {
      setQuestion({ game: id, action });
      return;
    }
    void act(game, action).then((variants) => {
      if (variants) setQuestion({ game: id, action, variants });
    });
  }, []);

  const openSheet = useCallback((id: string) => setOpen({ id, section: null }), []);
  const sheet = open === null ? undefined : games.get(open.id);
  const asked = question ? games.get(question.game) : undefined;
  const close = (): void => setQuestion(null);
  return (
    <main id="content" tabIndex={-1}>
      <Banners view={view} />
      <Boundary key={view}>
        {view === "shelf" && <Shelf onOpen={openSheet} onChoose={choose} />}
        {view === "party" && <Party />}
        {view === "torrents" && <Torrents />}
        {view === "settings" && <Settings onLanguage={onLanguage} />}
      </Boundary>
      {sheet && open && (
        <GameSheet
          game={sheet}
          section={open.section}
          onClose={() => setOpen(null)}
          onChoose={choose}
        />
      )}
      {asked && question?.variants && (
        <VariantsDialog
          game={asked}
          action={question.action}
          variants={question.variants}
          onClose={close}
        />
      )}
      {asked && (question?.action === "uninstall" || question?.action === "remove") && (
        <ConfirmDialog game={asked} action={question.action} onClose={close} />
      )}
    </main>
  );
}

export function App() {
  const [language, setLanguage] = useState<Language>(preferredLanguage);
  const view = useView();
  const words = useMemo(() => translation(language), [language]);
  useEffect(() => {
    document.documentElement.lang = language;
    document.title = `${words.t(view)} · lanspread`;
    startNotifications(words);
  }, [language, view, words]);
  const choose = (next: Language): void => {
    localStorage.setItem("language", next);
    setLanguage(next);
  };
  return (
    <TranslationContext value={words}>
      <Header view={view} />
      <Main view={view} onLanguage={choose} />
      <Toasts />
    </TranslationContext>
  );
}
