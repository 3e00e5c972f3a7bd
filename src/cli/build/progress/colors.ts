type Env = Readonly<Record<string, string | undefined>>;

/** What each kind of line begins with; "" leaves it as the terminal has it. */
export interface Palette {
  readonly run: string;
  readonly cancel: string;
  readonly error: string;
  readonly warning: string;
}

const named = ["black", "red", "green", "yellow", "blue", "magenta", "cyan", "white"];
const none: Palette = { run: "", cancel: "", error: "", warning: "" };
const usual: Palette = { run: "\x1b[34m", cancel: "\x1b[33m", error: "\x1b[31m", warning: "\x1b[33m" };

/**
 * `NO_COLOR` takes all colours away, `BUILDKIT_COLORS` ("run=light-blue:error=200,20,245") says other ones, as with buildx. Entries that are
 * none are passed over: nobody's build ends for its colours.
 */
export function paletteOf(env: Env): Palette {
  if (env["NO_COLOR"]) return none;
  const palette: Record<string, string> = { ...usual };
  for (const entry of (env["BUILDKIT_COLORS"] ?? "").split(":")) {
    const at = entry.indexOf("=");
    const key = entry.slice(0, Math.max(at, 0)).toLowerCase();
    const color = colorOf(entry.slice(at + 1).toLowerCase());
    if (Object.hasOwn(palette, key) && color !== undefined) palette[key] = color;
  }
  return { ...usual, ...palette };
}

export function paint(text: string, color: string): string {
  return color === "" ? text : `${color}${text}\x1b[0m`;
}

/** A name, or red, green and blue, which become the nearest of the 216 colours that terminals of 256 have. */
function colorOf(text: string): string | undefined {
  if (text === "default") return "\x1b[39m";
  const light = text.startsWith("light-");
  const number = named.indexOf(light ? text.slice("light-".length) : text);
  if (number >= 0) return `\x1b[${(light ? 90 : 30) + number}m`;
  if (!/^\d{1,3},\d{1,3},\d{1,3}$/.test(text)) return undefined;
  const parts = text.split(",").map(Number);
  if (parts.some((part) => part > 255)) return undefined;
  const [red = 0, green = 0, blue = 0] = parts.map((part) => Math.round((part / 255) * 5));
  return `\x1b[38;5;${16 + 36 * red + 6 * green + blue}m`;
}
