import { formatPlatform } from "../../../base/spec/oci/platform.ts";
import type { Vertex } from "../../graph.ts";
import { inOrder } from "../../in-order.ts";
import type { BuildPlan } from "../../plan.ts";

/** The plan as text: every vertex once, what it reads before it, then what is made of them. */
export function printPlan(plan: BuildPlan): string {
  const numbers = new Map<Vertex["digest"], number>();
  const lines: string[] = [];
  const number = (vertex: Vertex | undefined) => (vertex ? `#${numbers.get(vertex.digest)}` : "scratch");
  for (const target of plan.targets) {
    for (const vertex of inOrder([...target.layers, ...(target.root ? [target.root] : [])])) {
      if (numbers.has(vertex.digest)) continue;
      numbers.set(vertex.digest, numbers.size + 1);
      const inputs = vertex.inputs.length > 0 ? ` <- ${vertex.inputs.map(number).join(" ")}` : "";
      const flags = vertex.ignoreCache ? " (no cache)" : "";
      lines.push(`${number(vertex)} ${vertex.op.kind} ${vertex.name}${inputs}${flags}`);
    }
    const layers = target.layers.map(number).join(" ") || "none";
    lines.push(
      `${formatPlatform(target.platform)} ${target.stage}: root ${number(target.root)}, layers ${layers}`,
    );
  }
  for (const { short } of plan.warnings) lines.push(`warning ${short}`);
  return `${lines.join("\n")}\n`;
}
