import { type Html, html } from "./html.ts";

/** The one stylesheet; the policy of the pages allows nothing else. */
export const stylesheet = `
body { font: 15px/1.5 system-ui, sans-serif; margin: 0 auto; max-width: 62rem; padding: 1rem; color: #1c2733; background: #fff }
h1 { font-size: 1.3rem; overflow-wrap: anywhere } a { color: #0b5cad; text-decoration: none } a:hover { text-decoration: underline }
table { border-collapse: collapse; width: 100% } th, td { text-align: left; padding: .35rem .6rem; border-bottom: 1px solid #dde3ea }
td.n, th.n { text-align: right; white-space: nowrap } code { font-size: .85em; overflow-wrap: anywhere } form { margin: 1rem 0 }
input { font: inherit; padding: .25rem .5rem } p.none { color: #667 }
@media (prefers-color-scheme: dark) { body { color: #dde3ea; background: #14191f } a { color: #6db3f8 } th, td { border-color: #2c3640 } }
`;

/** Headers of every page: nothing is loaded from elsewhere, no script runs, nobody frames it. */
export const pageHeaders = {
  "Content-Type": "text/html; charset=utf-8",
  "Content-Security-Policy":
    "default-src 'none'; style-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
  "X-Content-Type-Options": "nosniff",
  "Referrer-Policy": "no-referrer",
  "Cache-Control": "no-cache",
} as const;

export function page(title: string, content: Html): string {
  return html`<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>${title}</title>
<link rel="stylesheet" href="/pages/style.css"></head>
<body><p><a href="/">Repositories</a></p><h1>${title}</h1>
${content}
</body></html>
`.html;
}

/** "1.5 MB": decimal units with at most one digit behind the point, as docker prints sizes. */
export function size(bytes: number): string {
  const units = ["B", "kB", "MB", "GB", "TB", "PB"];
  let value = bytes;
  let unit = 0;
  while (value >= 1000 && unit < units.length - 1) {
    value /= 1000;
    unit++;
  }
  return `${unit === 0 ? value : value.toFixed(1).replace(/\.0$/, "")} ${units[unit]}`;
}

export function when(milliseconds: number): string {
  return `${new Date(milliseconds).toISOString().slice(0, 16).replace("T", " ")} UTC`;
}
