export const themes = ["auto", "dark", "light"] as const;
export type Theme = (typeof themes)[number];

export function chosenTheme(): Theme {
  const choice = localStorage.getItem("theme");
  return themes.find((theme) => theme === choice) ?? "auto";
}

export function setTheme(theme: Theme): void {
  localStorage.setItem("theme", theme);
  startTheme();
}

export function startTheme(): void {
  const theme = chosenTheme();
  if (theme === "auto") delete document.documentElement.dataset["theme"];
  else document.documentElement.dataset["theme"] = theme;
}
