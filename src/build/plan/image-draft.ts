import type { Platform } from "../../base/spec/oci/descriptor.ts";
import type { HistoryEntry, ImageConfig, ImageRunConfig } from "../../base/spec/oci/image.ts";
import { normalizePlatform } from "../../base/spec/oci/platform.ts";

export const defaultPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
const comment = "buildkit.dockerfile.v0";

type Mutable<T> = { -readonly [K in keyof T]: T[K] };

// `created` stays: an image that adds no layer is as old as its base. What a base has beside these (a container's attachments, Docker's version) is not handed on, as BuildKit does not.
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
  readonly history: HistoryEntry[];
  /** Entries of `history` that are the base image's. */
  readonly inherited: number;
  author: string | undefined;

  private constructor(from: Omit<ImageConfig, "rootfs">, inherited: number) {
    const { config = {}, history = [], author } = from;
    const { Env, Labels, ExposedPorts, Volumes } = config;
    this.#document = picked(from, documentMembers);
    this.author = author;
    this.run = picked(config, runMembers);
    this.env = new Map((Env ?? []).map((entry) => [entry.split("=", 1)[0] ?? entry, entry]));
    this.labels = new Map(Object.entries(Labels ?? {}));
    this.ports = new Set(Object.keys(ExposedPorts ?? {}));
    this.volumes = new Set(Object.keys(Volumes ?? {}));
    this.history = [...history];
    this.inherited = inherited;
  }

  static of(config: ImageConfig): ImageDraft {
    const { rootfs: _, ...rest } = config;
    const draft = new ImageDraft(rest, config.history?.length ?? 0);
    draft.#setPath();
    return draft;
  }

  /** FROM scratch. */
  static empty(platform: Platform): ImageDraft {
    const draft = new ImageDraft({ ...platform, config: { WorkingDir: "/" } }, 0);
    draft.#setPath();
    return draft;
  }

  /** FROM stage: triggers are not inherited. */
  clone(): ImageDraft {
    const copy = new ImageDraft(this.document(), this.inherited);
    copy.run.OnBuild = null;
    return copy;
  }

  get platform(): Platform {
    const { os, architecture, variant } = this.#document;
    return { os, architecture, ...(variant && { variant }) };
  }

  #setPath(): void {
    if (!this.env.has("PATH") && this.#document.os !== "windows") this.setEnv("PATH", defaultPath);
  }

  setEnv(name: string, value: string): void {
    this.env.set(name, `${name}=${value}`);
  }

  commit(text: string, layer: boolean): void {
    this.history.push({ created_by: text, comment, ...(layer ? {} : { empty_layer: true }) });
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
      history: [...this.history],
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
