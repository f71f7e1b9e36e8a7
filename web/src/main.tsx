import { StrictMode } from "react";
import { createRoot } from "react-dom/client";
import { App } from "./App";
import { startStream } from "./stream";
import { startTheme } from "./theme";
import "./styles/base.css";
import "./styles/shelf.css";
import "./styles/views.css";

// The start link's token is in the cookie by now; it must not stay in the address bar.
if (location.search.includes("token="))
  history.replaceState(null, "", location.pathname + location.hash);

startTheme();
startStream();
const root = document.getElementById("root");
if (root)
  createRoot(root).render(
    <StrictMode>
      <App />
    </StrictMode>,
  );
