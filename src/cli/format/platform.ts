import { invalid, messageOf } from "../../base/lib/errors.ts";

/** A platform in the wire's shape (OCI image-spec, config.md). */
export interface Platform {
  readonly architecture: string;
  readonly os: string;
  readonly "os.version"?: string;
  readonly variant?: string;
}

const osPattern = /^([A-Za-z0-9_-]+)(?:\(([A-Za-z0-9_.-]*)\))?$/;
const partPattern = /^[A-Za-z0-9_.-]+$/;

const systems = new Set(
  "aix android darwin dragonfly freebsd hurd illumos ios js linux nacl netbsd openbsd plan9 solaris windows zos".split(
    " ",
  ),
);
const architectures = new Set(
  (
    "386 amd64 amd64p32 arm armbe arm64 arm64be loong64 mips mipsle mips64 mips64le mips64p32 mips64p32le ppc ppc64 " +
    "ppc64le riscv riscv64 s390 s390x sparc sparc64 wasm"
  ).split(" "),
);

/** Parses "linux/arm64/v8", "arm64" or "linux" by the grammar of containerd's platform package, other names included. */
export function parsePlatform(text: string): Platform {
  const quoted = JSON.stringify(text);
  const parts = text.split("/");
  const [first = "", second, third] = parts;
  const system = osPattern.exec(first);
  if (!system) {
    throw invalid(
      `${JSON.stringify(first)} is an invalid OS component of ${quoted}: OSAndVersion specifier component must match "^([A-Za-z0-9_-]+)(?:\\\\(([A-Za-z0-9_.-]*)\\\\))?$": invalid argument`,
    );
  }
  for (const part of parts.slice(1)) {
    if (!partPattern.test(part)) {
      throw invalid(
        `${JSON.stringify(part)} is an invalid component of ${quoted}: platform specifier component must match "^[A-Za-z0-9_.-]+$": invalid argument`,
      );
    }
  }
  if (parts.length > 3) throw invalid(`${quoted}: cannot parse platform specifier: invalid argument`);
  const os = systemName(system[1] ?? "");
  const version = system[2] ? { "os.version": system[2] } : {};
  if (second !== undefined) return { ...machine(second, third ?? ""), os, ...version };
  if (systems.has(os))
    return { ...machine(process.arch === "x64" ? "amd64" : process.arch, ""), os, ...version };
  const alone = machine(first, "");
  if (!architectures.has(alone.architecture)) {
    throw invalid(`${quoted}: unknown operating system or architecture: invalid argument`);
  }
  return { ...alone, os: "linux" };
}

function systemName(text: string): string {
  const os = text.toLowerCase();
  return os === "macos" ? "darwin" : os;
}

/** Architecture and variant under the names that registries use. */
function machine(text: string, given: string): { architecture: string; variant?: string } {
  const name = text.toLowerCase();
  const variant = given.toLowerCase();
  const of = (architecture: string, kept: string) => ({
    architecture,
    ...(kept === "" ? {} : { variant: kept }),
  });
  switch (name) {
    case "i386":
      return of("386", "");
    case "x86_64":
    case "x86-64":
    case "amd64":
      return of("amd64", variant === "v1" ? "" : variant);
    case "aarch64":
    case "arm64":
      return of("arm64", variant === "8" || variant === "v8" ? "" : variant);
    case "armhf":
      return of("arm", "v7");
    case "armel":
      return of("arm", "v6");
    case "arm":
      return of("arm", variant === "" ? "v7" : /^[5-8]$/.test(variant) ? `v${variant}` : variant);
    default:
      return of(name, variant);
  }
}

/** The same as the JSON that the API's platform parameters take; `before` goes in front of what is wrong with it. */
export function platformJson(text: string, before = ""): string {
  try {
    return JSON.stringify(parsePlatform(text));
  } catch (error) {
    throw before === "" ? error : invalid(`${before}${messageOf(error)}`, error);
  }
}

/** Nothing for an option that was not given. */
export function platformParameter(text: string, before = ""): string | undefined {
  return text === "" ? undefined : platformJson(text, before);
}
