import { invalid } from "../../base/lib/errors.ts";
import { PatternList, readIgnoreFile } from "../../base/spec/dockerfile/ignore.ts";
import type { Linter } from "../../base/spec/dockerfile/lint.ts";
import type { Dockerfile } from "../../base/spec/dockerfile/syntax.ts";
import type { Platform } from "../../base/spec/oci/descriptor.ts";
import type { BuildRequest } from "../request.ts";
import type { ArgumentInfo } from "./arguments.ts";
import { given } from "./arguments.ts";
import type { IgnoreFileNeed, ImageNeed, PlanInput } from "./input.ts";
import type { VertexTable } from "./vertices.ts";

/** What is planned for one platform, and what it shares with the others. */
export interface PlatformPlan {
  readonly input: PlanInput;
  readonly file: Dockerfile;
  readonly target: Platform;
  /** The platform was asked for; else it is this host's and an image may be of another. */
  readonly targetNamed: boolean;
  /** More than one platform: names say which. */
  readonly multi: boolean;
  readonly globals: ReadonlyMap<string, string>;
  readonly globalInfos: ReadonlyMap<string, ArgumentInfo>;
  readonly lint: Pick<Linter, "warn">;
  readonly vertices: VertexTable;
  readonly needs: Needs;
  readonly paths: ContextPaths;
  readonly budget: Budget;
  readonly epoch: number | undefined;
  readonly ignore: IgnoreList;
  /** Every stage is planned, for lint. */
  readonly allStages: boolean;
  ignoresCache(stage: string | undefined): boolean;
}

/** Patterns that keep files of the main context away. */
export interface IgnoreList {
  readonly patterns: readonly string[];
  readonly list: PatternList | undefined;
}

export function readIgnore(text: string, name: string): IgnoreList {
  const patterns = readIgnoreFile(text);
  if (patterns.length === 0) return { patterns, list: undefined };
  try {
    return { patterns, list: new PatternList(patterns) };
  } catch (error) {
    throw invalid(`failed parsing ${name}: ${error instanceof Error ? error.message : String(error)}`, error);
  }
}

/** What the planner lacks, each once. */
export class Needs {
  readonly images = new Map<string, ImageNeed>();
  readonly ignoreFiles = new Map<string, IgnoreFileNeed>();

  get some(): boolean {
    return this.images.size > 0 || this.ignoreFiles.size > 0;
  }
}

/** Paths that are read of contexts, by name ("" is the main one): gathered in a first pass, used for what is sent in a second. */
export class ContextPaths {
  readonly #paths = new Map<string, Set<string>>();

  add(context: string, paths: Iterable<string>): void {
    const known = this.#paths.get(context) ?? new Set();
    for (const path of paths) known.add(path);
    this.#paths.set(context, known);
  }

  /** Sorted; empty: everything. */
  include(context: string): readonly string[] {
    const paths = this.#paths.get(context);
    if (!paths || paths.has("/")) return [];
    return [...paths].map((path) => path.slice(1)).sort();
  }
}

const most = 1 << 26;
const mostHints = 200;

/** Bounds what one plan comes to: a few lines that double each other, or stages that each begin from the last, would fill any memory. */
export class Budget {
  #used = 0;
  #hints = 0;

  spend(characters: number): void {
    this.#used += characters;
    if (this.#used > most) throw invalid(`the Dockerfile comes to more than ${most} characters in all`);
  }

  /** Whether it is worth looking for what may have been meant: nobody reads the thousandth hint. */
  mayHint(): boolean {
    return this.#hints++ < mostHints;
  }
}

/** --no-cache and --no-cache-filter. */
export function cacheIgnorer(request: BuildRequest): (stage: string | undefined) => boolean {
  const { noCache } = request;
  if (typeof noCache === "boolean") return () => noCache;
  const names = new Set(noCache.map((name) => name.toLowerCase()));
  return (stage) => names.has(stage ?? "");
}

/** BUILDKIT_…: arguments that speak to the builder. */
export function builderArg(plan: PlatformPlan, name: string): string | undefined {
  return given(plan.input.request.buildArgs, name);
}
