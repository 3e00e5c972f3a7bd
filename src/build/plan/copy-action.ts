import type { CopyAction } from "../graph.ts";

/** A copy as an instruction has it, where nothing else is said. */
export function copyAction(
  action: Pick<CopyAction, "from" | "sources" | "dest"> & Partial<CopyAction>,
): CopyAction {
  return {
    kind: "copy",
    wildcard: false,
    owner: undefined,
    chmod: undefined,
    parents: false,
    exclude: [],
    unpack: false,
    remote: false,
    instruction: "COPY",
    ...action,
  };
}
