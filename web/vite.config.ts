import react from "@vitejs/plugin-react";
import { defineConfig } from "vite";

// LANSPREAD_PAGE: the start page of a running peer, for `npm run dev`.
declare const process: { env: Record<string, string | undefined> };

export default defineConfig({
  plugins: [react()],
  base: "/",
  build: {
    target: "es2022",
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    reportCompressedSize: false,
  },
  server: {
    proxy: { "/api": { target: process.env["LANSPREAD_PAGE"] ?? "http://127.0.0.1:47777" } },
  },
});
