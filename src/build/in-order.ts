import type { Vertex } from "./graph.ts";

/**
 * Vertices and all that they read, inputs first and each once: by its digest, or by what `keyOf` tells. Without recursion, as a chain may have any
 * number of steps.
 */
export function inOrder(
  roots: readonly Vertex[],
  keyOf: (vertex: Vertex) => unknown = ({ digest }) => digest,
): readonly Vertex[] {
  const done = new Set<unknown>();
  const order: Vertex[] = [];
  const open: { readonly vertex: Vertex; next: number }[] = [];
  for (const root of roots) {
    open.push({ vertex: root, next: 0 });
    for (let top = open.at(-1); top; top = open.at(-1)) {
      const key = keyOf(top.vertex);
      const input = done.has(key) ? undefined : top.vertex.inputs[top.next++];
      if (input) {
        if (!done.has(keyOf(input))) open.push({ vertex: input, next: 0 });
        continue;
      }
      open.pop();
      if (done.has(key)) continue;
      done.add(key);
      order.push(top.vertex);
    }
  }
  return order;
}
