import type { OciProcess } from "../runtime.ts";
import type { GenerateExecProcess } from "../spec.ts";
import { capabilitySets } from "./capabilities.ts";
import { checkedCwd } from "./generate.ts";

const DEFAULT_PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/**
 * The process of an exec: what the container's own process may, with another command, and as privileged all capabilities that
 * the daemon holds. seccomp stays the container's: the runtime applies the filter it saved.
 */
export const generateExecProcess: GenerateExecProcess = (input) => {
  const container: OciProcess | undefined = input.container.process;
  const base = container?.env ?? [DEFAULT_PATH];
  const term = input.tty && !base.some((entry) => entry.startsWith("TERM=")) ? ["TERM=xterm"] : [];
  const [height, width] = input.consoleSize ?? [];
  const { rlimits, oomScoreAdj, selinuxLabel, noNewPrivileges } = container ?? {};
  const capabilities = input.privileged ? capabilitySets(input.kernel.capabilities) : container?.capabilities;
  const apparmorProfile = input.privileged
    ? input.kernel.apparmor
      ? "unconfined"
      : undefined
    : container?.apparmorProfile;
  return {
    ...(input.tty ? { terminal: true } : {}),
    ...(input.tty && height && width ? { consoleSize: { height, width } } : {}),
    user: input.user ?? container?.user ?? { uid: 0, gid: 0 },
    args: input.args,
    env: mergeEnv([...base, ...term], input.env),
    cwd: checkedCwd(input.cwd || container?.cwd || "/"),
    ...(capabilities ? { capabilities } : {}),
    ...(rlimits ? { rlimits } : {}),
    ...(noNewPrivileges ? { noNewPrivileges } : {}),
    ...(oomScoreAdj === undefined ? {} : { oomScoreAdj }),
    ...(apparmorProfile === undefined ? {} : { apparmorProfile }),
    ...(selinuxLabel === undefined ? {} : { selinuxLabel }),
  };
};

/** `KEY=value` entries by key, the later one in the earlier one's place; a bare `KEY` removes it. */
export function mergeEnv(base: readonly string[], changes: readonly string[]): readonly string[] {
  const result = new Map<string, string>();
  for (const entry of [...base, ...changes]) {
    const at = entry.indexOf("=");
    if (at < 0) result.delete(entry);
    else result.set(entry.slice(0, at), entry);
  }
  return [...result.values()];
}
