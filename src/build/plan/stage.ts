import type { FromInstruction, SourceRange, StageInstruction } from "../../base/spec/dockerfile/syntax.ts";
import type { Platform } from "../../base/spec/oci/descriptor.ts";
import type { Vertex } from "../graph.ts";
import type { PlannedTarget } from "../plan.ts";
import type { ContextRef } from "../request.ts";
import type { ArgumentInfo } from "./arguments.ts";
import { ImageDraft } from "./image-draft.ts";

/** An instruction of a stage and the stages that it reads; those of RUN are one for each mount. */
export interface Command {
  readonly instruction: StageInstruction;
  readonly sources: readonly Stage[];
  /** It came from a trigger of the base. */
  readonly isTrigger: boolean;
}

/** A context that stands in place of a stage or an image. */
export interface NamedContext {
  readonly ref: ContextRef;
  readonly name: string;
  /** As it was found: "alpine" or "alpine::linux/arm64". */
  readonly key: string;
}

/** Where a secret or an agent was first asked for. */
export interface Asked {
  readonly range: SourceRange;
  readonly required: boolean;
}

/** A stage, or an image or context that an instruction names as if it were one (`unregistered`). */
export class Stage {
  readonly from: FromInstruction | undefined;
  readonly range: SourceRange;
  readonly comments: readonly string[];
  /** What it begins from, arguments expanded. */
  readonly baseName: string;
  /** As progress shows it; "" when it is the only one. */
  shownName: string;
  readonly unregistered: boolean;
  base: Stage | undefined;
  context: NamedContext | undefined;
  /** undefined: the target's. */
  platform: Platform | undefined;
  commands: Command[] = [];
  /** Stages that it reads, with the instruction that does. */
  readonly dependencies = new Map<Stage, StageInstruction>();
  /** Paths that are read of it; narrows what a client sends of a local context. Shared with the stages that begin from it. */
  paths = new Set<string>();
  /** Base and triggers are known. */
  resolved = false;
  triggersDone = false;
  dispatched = false;
  ignoreCache = false;

  // What instructions change.
  root: Vertex | undefined;
  env = new Map<string, string>();
  workdir = "";
  image: ImageDraft;
  baseImage: PlannedTarget["base"];
  layers: Vertex[] = [];
  args: { readonly name: string; readonly value: string | undefined }[] = [];
  /** Names of `args`. */
  declared = new Set<string>();
  workdirSet = false;
  step = 0;
  steps = 0;
  lastOf = new Map<string, StageInstruction>();

  // What `--call outline` tells.
  argumentInfos = new Map<string, ArgumentInfo>();
  usedArgs = new Set<string>();
  secrets = new Map<string, Asked>();
  agents = new Map<string, Asked>();

  constructor(options: {
    readonly from?: FromInstruction;
    readonly range: SourceRange;
    readonly baseName: string;
    readonly shownName: string;
    readonly platform: Platform;
  }) {
    this.from = options.from;
    this.range = options.range;
    this.comments = options.from?.comments ?? [];
    this.baseName = options.baseName;
    this.shownName = options.shownName;
    this.unregistered = options.from === undefined;
    this.image = ImageDraft.empty(options.platform);
  }

  get name(): string | undefined {
    return this.from?.stage;
  }

  /** Takes over what its base stage came to. */
  inherit(): void {
    const { base } = this;
    if (!base) return;
    this.root = base.root;
    this.env = new Map(base.env);
    this.workdir = base.workdir;
    this.platform = base.platform;
    this.image = base.image.clone();
    this.baseImage = base.baseImage;
    this.layers = [...base.layers];
    this.paths = base.paths;
    this.workdirSet = base.workdirSet;
    this.args = [...base.args];
    this.declared = new Set(base.declared);
  }
}

/** It, its bases and whatever they read. */
export function reachableFrom(stage: Stage): Set<Stage> {
  const reached = new Set<Stage>();
  const open = [stage];
  for (let next = open.pop(); next; next = open.pop()) {
    if (reached.has(next)) continue;
    reached.add(next);
    if (next.base) open.push(next.base);
    open.push(...next.dependencies.keys());
  }
  return reached;
}
