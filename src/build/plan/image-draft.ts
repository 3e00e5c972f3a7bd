import type { Platform } from "../../base/spec/oci/descriptor.ts";
import type { HistoryEntry, ImageConfig, ImageRunConfig } from "../../base/spec/oci/image.ts";
import { normalizePlatform } from "../../base/spec/oci/platform.ts";

export const defaultPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
const comment = "buildkit.dockerfile.v0";

type Mutable<T> = { -readonly [K in keyof T]: T[K] };

// What a base has beside these (a container's attachments, Docker's version) is not handed on, as with BuildKit; `created` is, because an
// image that adds no layer is as old as its base.
const documentMembers = ["architecture", "os", "variant", "os.version", "created"] as const;
const runMembers = [
  ...(["User", "Entrypoint", "Cmd", "WorkingDir", "StopSignal", "ArgsEscaped", "OnBuild", "Shell"] as const),
  "Healthcheck",
] as const;

/** An image's configuration while instructions change it. */
export class ImageDraft {
  readonly #document: Pick<ImageConfig, (typeof documentMembers)[number]>;
  /** All but the members that have a collection of their own here. */
  readonly run: Mutable<Pick<ImageRunConfig, (typeof runMembers)[number]>>;
  /** By name: "NAME=value". */
  readonly env: Map<string, string>;
  readonly labels: Map<string, string>;
  readonly ports: Set<string>;
  readonly volumes: Set<string>;
  author: string | undefined;
  /** What it began from: its history comes first. Nothing is added to that any more. */
  readonly #before: ImageDraft | undefined;
  readonly #history: HistoryEntry[] = [];
  readonly #inherited: readonly HistoryEntry[];

  private constructor(from: Omit<ImageConfig, "rootfs"> | ImageDraft) {
    const isDraft = from instanceof ImageDraft;
    this.#before = isDraft ? from : undefined;
    this.#inherited = isDraft ? [] : (from.history ?? []);
    this.author = from.author;
    if (isDraft) {
      this.#document = from.#document;
      this.run = { ...from.run };
      this.env = new Map(from.env);
      this.labels = new Map(from.labels);
      this.ports = new Set(from.ports);
      this.volumes = new Set(from.volumes);
      return;
    }
    const { config = {} } = from;
    this.#document = picked(from, documentMembers);
    this.run = picked(config, runMembers);
    this.env = new Map((config.Env ?? []).map((entry) => [entry.split("=", 1)[0] ?? entry, entry]));
    this.labels = new Map(Object.entries(config.Labels ?? {}));
    this.ports = new Set(Object.keys(config.ExposedPorts ?? {}));
    this.volumes = new Set(Object.keys(config.Volumes ?? {}));
    if (!this.env.has("PATH") && from.os !== "windows") this.setEnv("PATH", defaultPath);
  }

  static of(config: ImageConfig): ImageDraft {
    return new ImageDraft(config);
  }

  /** FROM scratch. */
  static empty(platform: Platform): ImageDraft {
    return new ImageDraft({ ...platform, config: { WorkingDir: "/" } });
  }

  /** FROM stage: triggers are not inherited. */
  clone(): ImageDraft {
    const copy = new ImageDraft(this);
    copy.run.OnBuild = null;
    return copy;
  }

  /** The base image's entries, then those of its stages. */
  get history(): readonly HistoryEntry[] {
    const parts: (readonly HistoryEntry[])[] = [];
    for (let draft: ImageDraft | undefined = this; draft; draft = draft.#before)
      parts.push(draft.#history, draft.#inherited);
    return parts.reverse().flat();
  }

  /** How many entries of `history` are the base image's. */
  get inherited(): number {
    let draft: ImageDraft = this;
    while (draft.#before) draft = draft.#before;
    return draft.#inherited.length;
  }

  /** Entries that it copied from what it began from. */
  get size(): number {
    return this.env.size + this.labels.size + this.ports.size + this.volumes.size;
  }

  get platform(): Platform {
    const { os, architecture, variant } = this.#document;
    return { os, architecture, ...(variant && { variant }) };
  }

  setEnv(name: string, value: string): void {
    this.env.set(name, `${name}=${value}`);
  }

  /** Takes over entries of what it continues, which is made in this build, too. */
  continue(entries: readonly HistoryEntry[]): void {
    this.#history.push(...entries);
  }

  commit(text: string, layer: boolean): void {
    this.#history.push({ created_by: text, comment, ...(layer ? {} : { empty_layer: true }) });
  }

  /** The configuration as it stands; `platform`: the one that was asked for by name. */
  document(platform?: Platform): Omit<ImageConfig, "rootfs"> {
    const { env, labels, ports, volumes } = this;
    const keys = (names: Iterable<string>) =>
      Object.fromEntries([...names].sort().map((name) => [name, {} as Record<string, never>]));
    const config: ImageRunConfig = {
      ...present(this.run),
      Env: [...env.values()],
      ...(labels.size > 0 && {
        Labels: Object.fromEntries([...labels].sort(([a], [b]) => (a < b ? -1 : 1))),
      }),
      ...(ports.size > 0 && { ExposedPorts: keys(ports) }),
      ...(volumes.size > 0 && { Volumes: keys(volumes) }),
    };
    const { variant: _, ...document } = { variant: undefined, ...this.#document };
    const normal = normalizePlatform(platform ?? this.platform);
    return {
      ...document,
      ...(this.author !== undefined && { author: this.author }),
      architecture: normal.architecture,
      os: normal.os,
      ...(normal.variant && { variant: normal.variant }),
      config,
      history: this.history,
    };
  }
}

/** Without what is not there: Go's encoder leaves empty members out, and the digest of a config shows it. */
function present<T extends object>(members: T): T {
  const isEmpty = (value: unknown) =>
    value === null || value === "" || (Array.isArray(value) && value.length === 0);
  return Object.fromEntries(Object.entries(members).filter(([, value]) => !isEmpty(value))) as T;
}

function picked<T extends object, K extends keyof T>(from: T, members: readonly K[]): Pick<T, K> {
  const entries = members.flatMap((name) => (from[name] === undefined ? [] : [[name, from[name]] as const]));
  return Object.fromEntries(entries) as Pick<T, K>;
}
