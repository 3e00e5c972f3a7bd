import { existsSync } from "node:fs";
import type { Platform } from "../../base/spec/oci/descriptor.ts";
import { formatPlatform, normalizePlatform, platformDistance } from "../../base/spec/oci/platform.ts";
import { type BinaryFormat, binaryFormats, isOfFormat } from "../../base/sys/binfmt.ts";

/** How well this host runs programs of a platform: by itself, with an emulator, or not, for want of one that containers can use. */
export type Emulation =
  | { readonly kind: "native" }
  | { readonly kind: "emulated"; readonly by: string }
  /** `unfixed`: one is registered, but by a path that it would be looked for in the container's own root. */
  | { readonly kind: "missing"; readonly unfixed: string | undefined };

interface Machine {
  readonly architecture: string;
  /** Of an ELF file: EI_CLASS (1 is 32 bits), EI_DATA (1 is little-endian) and e_machine (elf.h). */
  readonly elf: readonly [bits: 1 | 2, endian: 1 | 2, machine: number];
  /** Those that an emulator of the machine runs, too. */
  readonly variants?: readonly string[];
}

/** In the order in which BuildKit lists them. */
const machines: readonly Machine[] = [
  { architecture: "amd64", elf: [2, 1, 62] },
  { architecture: "arm64", elf: [2, 1, 183] },
  { architecture: "riscv64", elf: [2, 1, 243] },
  { architecture: "ppc64", elf: [2, 2, 21] },
  { architecture: "ppc64le", elf: [2, 1, 21] },
  { architecture: "s390x", elf: [2, 2, 22] },
  { architecture: "386", elf: [1, 1, 3] },
  { architecture: "mips64le", elf: [2, 1, 8] },
  { architecture: "mips64", elf: [2, 2, 8] },
  { architecture: "loong64", elf: [2, 1, 258] },
  { architecture: "arm", elf: [1, 1, 40], variants: ["v7", "v6"] },
];

/** The beginning of a program for a machine. */
function header({ elf: [bits, endian, machine] }: Machine): Uint8Array {
  const bytes = Buffer.alloc(64);
  bytes.set([0x7f, 0x45, 0x4c, 0x46, bits, endian, 1]);
  const word = (value: number, at: number) =>
    endian === 1 ? bytes.writeUInt16LE(value, at) : bytes.writeUInt16BE(value, at);
  word(2, 16); // ET_EXEC
  word(machine, 18);
  bytes.writeUInt8(1, endian === 1 ? 20 : 23); // e_version
  return bytes;
}

/** What of `formats` starts programs of a machine; the kernel asks the one that was registered last first, which nobody tells. */
function emulatorsOf(machine: Machine, formats: readonly BinaryFormat[]): readonly BinaryFormat[] {
  const head = header(machine);
  return formats.filter((format) => isOfFormat(format, head));
}

/** An interpreter without "F" is looked for in the container's root, where none is. */
const isFixed = ({ flags }: BinaryFormat) => flags.includes("F");

/** There on a kernel for x86-64 that runs 32-bit programs by itself (arch/x86/entry/vdso/vdso32-setup.c, CONFIG_IA32_EMULATION). */
const IA32 = "/proc/sys/abi/vsyscall32";

/** The platforms that containers run on here, the host's own first. Looked up at every call: emulators come and go while a daemon runs. */
export function runnablePlatforms(host: Platform, formats = binaryFormats()): readonly Platform[] {
  const own = normalizePlatform(host);
  const runs = (machine: Machine) =>
    emulatorsOf(machine, formats).some(isFixed) ||
    (machine.architecture === "386" && own.architecture === "amd64" && existsSync(IA32));
  const emulated = machines
    .filter(({ architecture }) => architecture !== own.architecture)
    .filter(runs)
    .flatMap(({ architecture, variants }): readonly Platform[] =>
      variants
        ? variants.map((variant) => ({ os: "linux", architecture, variant }))
        : [{ os: "linux", architecture }],
    );
  return [own, ...emulated];
}

/** Whether and how programs of a platform run on this host. */
export function emulationOf(platform: Platform, host: Platform, formats = binaryFormats()): Emulation {
  if (platformDistance(host, platform) !== undefined) return { kind: "native" };
  const { architecture } = normalizePlatform(platform);
  const machine = machines.find((one) => one.architecture === architecture);
  const found = machine && platform.os === "linux" ? emulatorsOf(machine, formats) : [];
  const fixed = found.find(isFixed);
  if (fixed) return { kind: "emulated", by: fixed.name };
  return { kind: "missing", unfixed: found[0]?.name };
}

/** What is to be done about an emulator that is missing, as a sentence; undefined where nothing is. */
export function missingEmulator(
  platform: Platform,
  host: Platform,
  emulation: Emulation,
): string | undefined {
  if (emulation.kind !== "missing") return undefined;
  const wanted = formatPlatform(platform);
  const here = `this machine is ${formatPlatform(host)}`;
  if (emulation.unfixed !== undefined)
    return (
      `its programs are ${wanted}, ${here}, and the emulator ${emulation.unfixed} that is registered cannot be found inside containers: ` +
      "register it with the flag F, as Debian's package qemu-user-static and the image tonistiigi/binfmt do"
    );
  return (
    `its programs are ${wanted}, ${here} and has no emulator for them: install Debian's package qemu-user-static, or ` +
    `tug run --privileged --rm tonistiigi/binfmt --install ${platform.architecture}`
  );
}
