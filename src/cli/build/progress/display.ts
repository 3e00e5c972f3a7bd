import type { Output } from "../../io/output.ts";
import { PlainDisplay } from "./plain.ts";
import { RawDisplay } from "./raw.ts";
import { TerminalDisplay } from "./terminal.ts";
import { type BuildDisplay, BuildTrace } from "./trace.ts";

export type ProgressMode = "auto" | "tty" | "plain" | "quiet" | "rawjson" | "none";

/** `auto` is a live tree on a terminal and lines elsewhere. */
export function buildDisplay(
  mode: ProgressMode,
  out: Output,
  deps: {
    readonly now: () => bigint;
    readonly label: string;
    /** NO_COLOR, BUILDKIT_COLORS, BUILDKIT_TTY_LOG_LINES. */
    readonly env: Readonly<Record<string, string | undefined>>;
  },
): BuildDisplay {
  switch (mode) {
    case "quiet":
    case "none":
      return { trace: new BuildTrace(), finish: () => Promise.resolve() };
    case "rawjson":
      return new RawDisplay(out);
    case "tty":
      return new TerminalDisplay(out, deps);
    case "plain":
      return new PlainDisplay(out, deps.now);
    case "auto":
      return out.isTerminal ? new TerminalDisplay(out, deps) : new PlainDisplay(out, deps.now);
  }
}
