// The browser's notifications, for what ends while nobody looks at the page.

import { coverPath } from "./api";
import type { Translation } from "./i18n";
import { setToastListener } from "./store";

export function startNotifications(words: Translation): void {
  setToastListener((toast) => {
    if (!toast.game || toast.kind === "info") return;
    if (!("Notification" in window) || Notification.permission !== "granted") return;
    if (!document.hidden) return;
    const title = words.maybe(toast.key, { title: toast.title ?? toast.game });
    const notification = new Notification(title, {
      body: toast.text ?? "",
      icon: coverPath(toast.game),
      tag: toast.game,
    });
    notification.onclick = () => window.focus();
  });
}
