import { TugError } from "../../../base/lib/errors.ts";
import type { Vertex } from "../../graph.ts";

/**
 * What a step may only do when whoever ordered the build was allowed to (`--allow`), as BuildKit names it. In the words of BuildKit,
 * which clients show. A device that the step can do without and that this host has not needs nobody's leave.
 */
export function refuseUnentitled(
  op: Vertex["op"],
  entitlements: readonly string[],
  hasDevice: (name: string) => boolean,
): void {
  if (op.kind !== "exec") return;
  const refuse = (name: string) => {
    throw new TugError("forbidden", `${name} is not allowed`);
  };
  if (op.security === "insecure" && !entitlements.includes("security.insecure")) refuse("security.insecure");
  if (op.network === "host" && !entitlements.includes("network.host")) refuse("network.host");
  for (const { name, required } of op.devices) {
    if (!required && !hasDevice(name)) continue;
    const allowed = entitlements.some((one) => one === "device" || one === `device=${name}`);
    if (!allowed) refuse(`device ${name}`);
  }
}
