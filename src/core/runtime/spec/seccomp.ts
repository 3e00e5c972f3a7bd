import { invalid } from "../../../base/lib/errors.ts";
import type { HostFacts, SeccompArg, SeccompFilter, SeccompProfile, SeccompRule } from "../spec.ts";
import { atLeast } from "./mounts.ts";

/** `linux.seccomp` of the OCI specification. */
export interface OciSeccomp {
  readonly defaultAction: string;
  readonly defaultErrnoRet?: number;
  readonly architectures?: readonly string[];
  readonly flags?: readonly string[];
  readonly listenerPath?: string;
  readonly listenerMetadata?: string;
  readonly syscalls: readonly {
    readonly names: readonly string[];
    readonly action: string;
    readonly errnoRet?: number;
    readonly args?: readonly SeccompArg[];
  }[];
}

/** Go's name of an architecture -> libseccomp's. */
const ARCHITECTURES: Readonly<Record<string, string>> = {
  amd64: "SCMP_ARCH_X86_64",
  arm64: "SCMP_ARCH_AARCH64",
  riscv64: "SCMP_ARCH_RISCV64",
  loong64: "SCMP_ARCH_LOONGARCH64",
};

/** Reads a profile's JSON text; throws Docker's text when it is none. */
export function parseSeccompProfile(text: string): SeccompProfile {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw invalid(`Decoding seccomp profile failed: ${error instanceof Error ? error.message : ""}`, error);
  }
  if (typeof value !== "object" || value === null || Array.isArray(value))
    throw invalid("Decoding seccomp profile failed: it is not an object");
  const profile = value as SeccompProfile;
  if (profile.syscalls !== undefined && profile.syscalls !== null && !Array.isArray(profile.syscalls))
    throw invalid("Decoding seccomp profile failed: syscalls is not a list");
  if ((profile.architectures?.length ?? 0) > 0 && (profile.archMap?.length ?? 0) > 0)
    throw invalid(
      "both 'architectures' and 'archMap' are specified in the seccomp profile, use either 'architectures' or 'archMap'",
    );
  return profile;
}

/** The rules of a profile that hold for these capabilities, this kernel and this architecture. */
export function ociSeccomp(
  profile: SeccompProfile,
  capabilities: readonly string[],
  facts: Pick<HostFacts, "architecture" | "kernelVersion">,
): OciSeccomp {
  const native = ARCHITECTURES[facts.architecture];
  const mapped = profile.archMap?.find((entry) => entry.architecture === native);
  const architectures = profile.architectures?.length
    ? profile.architectures
    : mapped && [mapped.architecture, ...(mapped.subArchitectures ?? [])];
  const syscalls = (profile.syscalls ?? [])
    .filter((rule) => applies(rule, capabilities, facts))
    .map((rule) => ociRule(rule));
  const { defaultAction, defaultErrnoRet, flags, listenerPath, listenerMetadata } = profile;
  return {
    defaultAction,
    ...(defaultErrnoRet === undefined ? {} : { defaultErrnoRet }),
    ...(architectures ? { architectures } : {}),
    ...(flags ? { flags } : {}),
    ...(listenerPath ? { listenerPath } : {}),
    ...(listenerMetadata ? { listenerMetadata } : {}),
    syscalls,
  };
}

function ociRule(rule: SeccompRule): OciSeccomp["syscalls"][number] {
  const names = rule.names ?? (rule.name === undefined ? [] : [rule.name]);
  if (rule.name !== undefined && (rule.names?.length ?? 0) > 0)
    throw invalid(
      "both 'name' and 'names' are specified in the seccomp profile, use either 'name' or 'names'",
    );
  return {
    names,
    action: rule.action,
    ...(rule.errnoRet === undefined ? {} : { errnoRet: rule.errnoRet }),
    ...(rule.args?.length ? { args: rule.args } : {}),
  };
}

function applies(
  rule: SeccompRule,
  capabilities: readonly string[],
  facts: Pick<HostFacts, "architecture" | "kernelVersion">,
): boolean {
  const has = (filter: SeccompFilter | undefined, member: "caps" | "arches") => {
    const list = filter?.[member] ?? [];
    return {
      some: list.some((name) =>
        member === "caps" ? capabilities.includes(name) : name === facts.architecture,
      ),
      every: list.every((name) =>
        member === "caps" ? capabilities.includes(name) : name === facts.architecture,
      ),
      length: list.length,
    };
  };
  if (has(rule.excludes, "arches").some || has(rule.excludes, "caps").some) return false;
  const arches = has(rule.includes, "arches");
  if (arches.length > 0 && !arches.some) return false;
  if (!has(rule.includes, "caps").every) return false;
  const minKernel = kernel(rule.includes?.minKernel);
  if (minKernel && !atLeast(facts.kernelVersion, minKernel)) return false;
  const maxKernel = kernel(rule.excludes?.minKernel);
  return !(maxKernel && atLeast(facts.kernelVersion, maxKernel));
}

function kernel(version: string | undefined): readonly [number, number] | undefined {
  if (!version) return undefined;
  const match = /^(\d+)\.(\d+)/.exec(version);
  if (!match) throw invalid(`invalid kernel version in the seccomp profile: ${version}`);
  return [Number(match[1]), Number(match[2])];
}
