import path from "node:path";
import { fileURLToPath } from "node:url";

export const here = path.dirname(path.dirname(fileURLToPath(import.meta.url)));
export const root = path.resolve(here, "../..");
/** The build folder; LANSPREAD_BUILD says another one. */
export const build = path.resolve(process.env.LANSPREAD_BUILD ?? path.join(root, "build"));
export const artifacts = path.join(here, "artifacts");
