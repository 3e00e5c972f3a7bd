import { shortId } from "../../base/lib/ids.ts";
import type { ImageManifestSummary, ImageSummary } from "../../base/spec/docker/api.gen.ts";
import { ellipsis } from "./text.ts";
import { humanSize } from "./units.ts";

interface Details {
  readonly id: string;
  readonly usage: number;
  readonly content: number;
  readonly inUse: boolean;
}

interface Column {
  readonly title: string;
  readonly width: number;
  readonly right?: boolean;
  readonly value: (details: Details) => string;
}

const details: readonly Column[] = [
  { title: "ID", width: 12, value: ({ id }) => shortId(id) },
  { title: "DISK USAGE", width: 10, right: true, value: ({ usage }) => humanSize(usage, 3) },
  { title: "CONTENT SIZE", width: 12, right: true, value: ({ content }) => humanSize(content, 3) },
  { title: "EXTRA", width: 5, value: ({ inUse }) => (inUse ? used : "") },
];
const used = " U ";
const spacing = "   ";
const leastNameWidth = 12;

/** How the tree is drawn: `width` of the terminal, and whether it takes colours. `all` keeps images without a name. */
export interface TreeStyle {
  readonly width: number;
  readonly colour: boolean;
  readonly all: boolean;
}

/** `images --tree`: an image under each of its names, and its platforms below it where the daemon tells them. */
export function imageTree(images: readonly ImageSummary[], style: TreeStyle): string {
  const width = style.width === 0 ? 80 : Math.max(20, style.width);
  const entries = images
    .filter((image) => style.all || namesOf(image).length > 0)
    .toSorted((a, b) => b.Created - a.Created)
    .map((image) => ({ names: namesOf(image), parts: partsOf(image), whole: detailsOf(image) }));
  const { nameWidth, columns } = layout(width, [
    "IMAGE",
    ...entries.flatMap(({ names, parts }) => [...names, ...parts.map(({ name }) => `└─ ${name}`)]),
  ]);
  const paint = (codes: string, text: string) => (style.colour ? `\x1b[${codes}m${text}\x1b[0m` : text);
  const row = (name: string, codes: string, of: Details) =>
    [
      fit(name, nameWidth, false, (text) => paint(codes, text)),
      ...columns.map(({ value, width: size, right = false }) =>
        style.colour
          ? fit(value(of), size, right, (text) => (text === used ? chip : text))
          : fit(value(of).trim(), size, right, (text) => text),
      ),
    ].join(spacing);
  const heading = (title: string, size: number, right = false) =>
    fit(title, size, right, (text) => paint("1", text));
  const lines = [
    paint("93", experimental),
    legend(width, style.colour),
    "",
    [heading("IMAGE", nameWidth), ...columns.map((c) => heading(c.title, c.width, c.right))].join(spacing),
  ];
  const spaced = entries.some(({ parts }) => parts.length > 0);
  for (const { names, parts, whole } of entries) {
    lines.push(...names.slice(0, -1).map((name) => paint("34;1", name)));
    const last = names.at(-1);
    lines.push(row(last ?? "<untagged>", last === undefined ? "2" : "34;1", whole));
    parts.forEach((part, at) => {
      const branch = at === parts.length - 1 ? "└─" : "├─";
      lines.push(row(`${branch} ${part.name}`, part.available ? "39" : "2", part.of));
    });
    if (spaced) lines.push("");
  }
  return `${lines.join("\n")}\n`;
}

const experimental =
  "WARNING: This is an experimental feature. The output may change and shouldn't be depended on.";

/** The shortest name stands last, beside the details. */
function namesOf(image: ImageSummary): string[] {
  const names = (image.RepoTags ?? []).filter((name) => name !== "<none>:<none>");
  return names.toSorted((a, b) => b.length - a.length || (a < b ? -1 : 1));
}

function platformsOf(image: ImageSummary): readonly ImageManifestSummary[] {
  return (image.Manifests ?? []).filter((manifest) => manifest.Kind === "image");
}

function partsOf(image: ImageSummary) {
  return platformsOf(image).map((manifest) => {
    const { os = "", architecture = "", variant } = manifest.ImageData?.Platform ?? {};
    const of: Details = {
      id: manifest.ID,
      usage: manifest.Size.Total,
      content: manifest.Size.Content,
      inUse: (manifest.ImageData?.Containers ?? []).length > 0,
    };
    return { name: [os, architecture, variant].filter(Boolean).join("/"), available: manifest.Available, of };
  });
}

function detailsOf(image: ImageSummary): Details {
  const parts = partsOf(image);
  return {
    id: image.Id,
    usage: image.Size,
    // Attestations count, though they have no line.
    content: (image.Manifests ?? []).reduce((sum, manifest) => sum + manifest.Size.Content, 0),
    inUse: image.Containers > 0 || parts.some(({ of }) => of.inUse),
  };
}

/** Columns go, the last ones first, before names get too short; names take no more than they need. */
function layout(width: number, names: readonly string[]): { nameWidth: number; columns: readonly Column[] } {
  let left = width;
  const columns: Column[] = [];
  for (const column of details) {
    const needs = column.width + spacing.length;
    if (left - needs < leastNameWidth) break;
    left -= needs;
    columns.push(column);
  }
  // In bytes, as Docker measures them: a branch counts for more than it takes.
  return { nameWidth: Math.min(left, Math.max(...names.map((name) => Buffer.byteLength(name)))), columns };
}

function fit(text: string, width: number, right: boolean, paint: (text: string) => string): string {
  const cut = ellipsis(text, width);
  const room = " ".repeat(Math.max(0, width - Bun.stringWidth(cut)));
  return right ? room + paint(cut) : paint(cut) + room;
}

/** The mark of an image in use. */
const chip = `\x1b[38;5;0m\x1b[48;5;14m${used}\x1b[0m`;

function legend(width: number, colour: boolean): string {
  const text = colour ? "i Info →   U  In Use " : "Info ->  U In Use ";
  const room = " ".repeat(Math.max(0, width - text.length));
  if (!colour) return room + text;
  return `${room}\x1b[1m\x1b[106m\x1b[30mi\x1b[0m \x1b[96mInfo → \x1b[0m ${chip} In Use `;
}
