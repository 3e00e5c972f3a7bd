import type { BootstrapReport, BootstrapStep } from "./protocol.ts";

/** What debootstrap said last; `format` is printf's with %s alone. */
interface Message {
  readonly kind: string;
  readonly name: string;
  readonly args: string[];
}

/** A failure that debootstrap told of. */
export interface InstallerFailure {
  readonly name: string;
  readonly text: string;
}

/** Its progress by name: the step, the words for it, and what is counted. */
const steps: Readonly<Record<string, readonly [BootstrapStep, string, string?]>> = {
  DOWNREL: ["release", "Retrieving"],
  DOWNRELSIG: ["release", "Validating"],
  DOWNPKGS: ["index", "Retrieving"],
  DOWNDEBS: ["packages", "Retrieving and validating"],
  EXTRACTPKGS: ["packages", "Extracting", "packages"],
  INSTCORE: ["system", "Unpacking the core", "steps"],
  UNPACKREQ: ["system", "Unpacking", "packages"],
  UNPACKBASE: ["system", "Unpacking the rest", "packages"],
  CONFREQ: ["configuration", "Configuring", "packages"],
  CONFBASE: ["configuration", "Configuring the rest", "packages"],
};

/**
 * Reads what debootstrap tells Debian's installer (debootstrap --debian-installer): "P: now end NAME" with "PA: argument" and
 * "PF: format" for progress, the same with I, W and E for information, warnings and errors.
 */
export class InstallerReports {
  failure: InstallerFailure | undefined;
  readonly #warnings: string[] = [];
  readonly #report: (report: BootstrapReport) => void;
  #rest = "";
  #message: Message = { kind: "", name: "", args: [] };

  constructor(report: (report: BootstrapReport) => void) {
    this.#report = report;
  }

  /** The last few: what was wrong before debootstrap gave up. */
  get warnings(): readonly string[] {
    return this.#warnings;
  }

  push(text: string): void {
    const lines = (this.#rest + text).split("\n");
    this.#rest = (lines.pop() ?? "").slice(-64_000);
    for (const line of lines) this.#line(line);
  }

  #line(line: string): void {
    const match = /^([PIWE])([AF]?): ?(.*)$/.exec(line);
    if (!match) return;
    const [, kind = "", part = "", value = ""] = match;
    if (part === "") this.#begin(kind, value);
    else if (kind !== this.#message.kind) return;
    else if (part === "A") this.#message.args.push(value);
    else this.#end(value);
  }

  #begin(kind: string, value: string): void {
    const words = value.split(" ");
    this.#message = { kind, name: words.at(-1) ?? "", args: [] };
    if (kind !== "P") return;
    const step = steps[this.#message.name];
    const [current, total] = [Number(words[0]), Number(words[1])];
    if (!step || !Number.isFinite(current) || !(total > 0)) return;
    const [of, text, units] = step;
    this.#report({ kind: "step", step: of, text, current, total, ...(units ? { units } : {}) });
  }

  #end(format: string): void {
    const { kind, name, args } = this.#message;
    let next = 0;
    const text = format.replaceAll("\\n", " ").replaceAll("%s", () => args[next++] ?? "");
    if (kind === "E") this.failure = { name, text: text.replace(/\s+/g, " ") };
    if (kind === "W" && this.#warnings.push(text) > 5) this.#warnings.shift();
    if (kind === "I" && name === "VALIDRELSIG")
      this.#report({ kind: "step", step: "release", text: `Signature is valid (key ${args[0] ?? ""})` });
  }
}
