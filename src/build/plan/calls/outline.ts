import type { SourceRange } from "../../../base/spec/dockerfile/syntax.ts";
import { reachableFrom, type Stage } from "../stage.ts";
import { docComment } from "./doc-comment.ts";

/** What a target can be given: what `--call outline` tells. */
export interface Outline {
  readonly name: string;
  readonly description: string;
  readonly args: readonly {
    readonly name: string;
    readonly value: string;
    readonly description: string;
    readonly range: SourceRange;
  }[];
  readonly secrets: readonly OutlineAsked[];
  readonly ssh: readonly OutlineAsked[];
}

interface OutlineAsked {
  readonly name: string;
  readonly required: boolean;
  readonly range: SourceRange;
}

export function describeOutline(target: Stage): Outline {
  const stages = [...reachableFrom(target)];
  const name = target.name ?? "";
  return {
    name,
    description: docComment(target.comments, name),
    args: byLine(argsOf(stages)),
    secrets: byLine(askedOf(stages.map((stage) => stage.secrets))),
    ssh: byLine(askedOf(stages.map((stage) => stage.agents))),
  };
}

function byLine<T extends { readonly range: SourceRange }>(list: readonly T[]): readonly T[] {
  return list.toSorted((a, b) => a.range.start.line - b.range.start.line);
}

function argsOf(stages: readonly Stage[]): Outline["args"] {
  const found = new Map<string, Outline["args"][number]>();
  for (const stage of stages) {
    for (const name of usedArgs(stage)) {
      const info = stage.argumentInfos.get(name);
      if (!info || found.has(name)) continue;
      const description = docComment(info.from.comments, name);
      found.set(name, { name, value: info.value, description, range: info.from.range });
    }
  }
  return [...found.values()];
}

/** With those that the defaults of others are made of. */
function usedArgs(stage: Stage): ReadonlySet<string> {
  const used = new Set<string>();
  const open = [...stage.usedArgs];
  for (let name = open.pop(); name !== undefined; name = open.pop()) {
    if (used.has(name)) continue;
    used.add(name);
    open.push(...(stage.argumentInfos.get(name)?.uses ?? []));
  }
  return used;
}

function askedOf(maps: readonly Stage["secrets"][]): readonly OutlineAsked[] {
  const found = new Map<string, OutlineAsked>();
  for (const map of maps)
    for (const [name, asked] of map) if (!found.has(name)) found.set(name, { name, ...asked });
  return [...found.values()];
}
