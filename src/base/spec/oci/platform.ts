import { invalid } from "../../lib/errors.ts";
import type { Descriptor, Platform } from "./descriptor.ts";

const architectures: Readonly<Record<string, { readonly architecture: string; readonly variant?: string }>> =
  {
    x86_64: { architecture: "amd64" },
    "x86-64": { architecture: "amd64" },
    x64: { architecture: "amd64" },
    i386: { architecture: "386" },
    i686: { architecture: "386" },
    ia32: { architecture: "386" },
    aarch64: { architecture: "arm64" },
    armhf: { architecture: "arm", variant: "v7" },
    armel: { architecture: "arm", variant: "v6" },
  };

const operatingSystems = ["linux", "windows", "darwin", "freebsd", "netbsd", "openbsd", "solaris", "wasip1"];
const goArchitectures = [
  ...["386", "amd64", "arm", "arm64", "loong64", "mips", "mipsle", "mips64", "mips64le", "ppc64", "ppc64le"],
  ...["riscv64", "s390x", "wasm"],
];

/** One spelling per platform: GOARCH names, and no variant where it is the default (arm64 v8, amd64 v1; arm is v7). */
export function normalizePlatform(platform: Platform): Platform {
  const known = architectures[platform.architecture.toLowerCase()];
  const architecture = known?.architecture ?? platform.architecture.toLowerCase();
  let variant = platform.variant?.toLowerCase() || known?.variant;
  if (variant !== undefined && /^[0-9]/.test(variant)) variant = `v${variant}`;
  if (architecture === "arm") variant ??= "v7";
  if (architecture === "arm64" && variant === "v8") variant = undefined;
  if (architecture === "amd64" && variant === "v1") variant = undefined;
  const { variant: _, ...rest } = platform;
  return { ...rest, os: platform.os.toLowerCase(), architecture, ...(variant && { variant }) };
}

/** `--platform`: "linux/arm/v7", "linux/amd64", "linux" or "arm64"; the missing half is the host's. */
export function parsePlatform(text: string, host: Platform): Platform {
  const parts = text.split("/");
  if (parts.length > 3)
    throw invalid(`${JSON.stringify(text)}: cannot parse platform specifier: invalid argument`);
  for (const part of parts) {
    if (/^[A-Za-z0-9_.-]+$/.test(part)) continue;
    throw invalid(
      `${JSON.stringify(part)} is an invalid component of ${JSON.stringify(text)}: ` +
        'platform specifier component must match "^[A-Za-z0-9_.-]+$": invalid argument',
    );
  }
  const [first = "", second, third] = parts;
  if (second === undefined) {
    if (operatingSystems.includes(first.toLowerCase())) return normalizePlatform({ ...host, os: first });
    const alone = normalizePlatform({ os: host.os, architecture: first });
    if (goArchitectures.includes(alone.architecture)) return alone;
    throw invalid(`${JSON.stringify(text)}: unknown operating system or architecture: invalid argument`);
  }
  return normalizePlatform({ os: first, architecture: second, ...(third && { variant: third }) });
}

/** This machine, as image documents name it. */
export function hostPlatform(arch: string = process.arch): Platform {
  return normalizePlatform({ os: "linux", architecture: arch });
}

/** linux/arm64/v8 in the form Docker prints. */
export function formatPlatform(platform: Platform): string {
  return [platform.os, platform.architecture, platform.variant].filter(Boolean).join("/");
}

/**
 * How well a machine of platform `wanted` runs `offered`: 0 is exact, larger is worse, undefined not at all. An arm runs
 * lower variants, arm64 also 32-bit arm, amd64 lower micro-architecture levels and 386.
 */
export function platformDistance(wanted: Platform, offered: Platform): number | undefined {
  const want = normalizePlatform(wanted);
  const have = normalizePlatform(offered);
  if (want.os !== have.os) return undefined;
  const level = (platform: Platform, otherwise: number) =>
    platform.variant === undefined
      ? otherwise
      : Number(/^v([0-9]+)/.exec(platform.variant)?.[1] ?? Number.NaN);
  const down = (from: number, to: number, extra: number) => (to <= from ? extra + from - to : undefined);
  if (want.architecture === have.architecture) {
    if (want.variant === have.variant) return 0;
    if (want.architecture === "arm") return down(level(want, 7), level(have, 7), 0);
    if (want.architecture === "arm64") return down(level(want, 8), level(have, 8), 0);
    if (want.architecture === "amd64") return down(level(want, 1), level(have, 1), 0);
    // An unnamed variant on either side is no contradiction (ppc64le, riscv64, ...).
    return want.variant === undefined || have.variant === undefined ? 1 : undefined;
  }
  if (want.architecture === "arm64" && have.architecture === "arm") return down(8, level(have, 7), 10);
  if (want.architecture === "amd64" && have.architecture === "386") return 10;
  return undefined;
}

/**
 * The entry of an index that suits `wanted` best; the first of equals. Entries without a platform are taken only when no
 * entry names one, so that a layout of one image can be used.
 */
export function choosePlatform(entries: readonly Descriptor[], wanted: Platform): Descriptor | undefined {
  let best: { readonly entry: Descriptor; readonly distance: number } | undefined;
  for (const entry of entries) {
    if (!entry.platform) continue;
    const distance = platformDistance(wanted, entry.platform);
    if (distance === undefined || Number.isNaN(distance)) continue;
    if (!best || distance < best.distance) best = { entry, distance };
  }
  if (best) return best.entry;
  return entries.every((entry) => !entry.platform) ? entries[0] : undefined;
}
