import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { closeFd, fdPath } from "./at.ts";
import { openUnmounted } from "./mount/mount.ts";

/** A kind of program that the kernel starts with another one (Documentation/admin-guide/binfmt-misc.rst), as its file tells it. */
export interface BinaryFormat {
  readonly name: string;
  readonly enabled: boolean;
  /** "/usr/bin/qemu-aarch64". */
  readonly interpreter: string;
  /** "F": the interpreter was opened when this was registered, so that it works in every root. */
  readonly flags: string;
  readonly offset: number;
  /** What stands at the offset; undefined for one that goes by the file's extension. */
  readonly magic: Uint8Array | undefined;
  /** Bits of it that count; undefined for all of them. */
  readonly mask: Uint8Array | undefined;
}

/** What the kernel shows in the place of a program's first bytes, and all that a magic can be about (BINPRM_BUF_SIZE). */
const HEAD = 256;

/**
 * What is registered at the moment; nothing on a kernel without binfmt_misc, or where that is switched off. The file system need not be
 * mounted anywhere: who registered may have had a mount of his own (a container that installs emulators), and what he did holds for all.
 */
export function binaryFormats(fallback = "/proc/sys/fs/binfmt_misc"): readonly BinaryFormat[] {
  // Opening a file system that the kernel does not have makes it load a module: that is not for us to decide.
  const known = readFileSync("/proc/filesystems", "utf8").includes("\tbinfmt_misc\n");
  const fd = known ? openUnmounted("binfmt_misc") : undefined;
  if (fd === undefined) return formatsIn(fallback);
  try {
    return formatsIn(fdPath(fd));
  } finally {
    closeFd(fd);
  }
}

function formatsIn(directory: string): readonly BinaryFormat[] {
  const read = (name: string) => textOf(() => readFileSync(join(directory, name), "utf8")) ?? "";
  const names = textOf(() => readdirSync(directory)) ?? [];
  if (read("status").trim() !== "enabled") return [];
  return names
    .filter((name) => name !== "register" && name !== "status")
    .sort()
    .map((name) => parseFormat(name, read(name)));
}

/** Undefined for what is not there: an entry may go while the list is read. */
function textOf<T>(look: () => T): T | undefined {
  try {
    return look();
  } catch (error) {
    if (["ENOENT", "ENOTDIR"].includes((error as NodeJS.ErrnoException).code ?? "")) return undefined;
    throw error;
  }
}

/** An entry's file: "enabled", then lines of a word and its value. */
export function parseFormat(name: string, text: string): BinaryFormat {
  const [state, ...lines] = text.split("\n");
  const values = new Map(
    lines.map((line) => {
      const at = line.indexOf(" ");
      return [line.slice(0, at).replace(/:$/, ""), line.slice(at + 1)] as const;
    }),
  );
  const bytes = (hex: string | undefined) => (hex === undefined ? undefined : Buffer.from(hex.trim(), "hex"));
  return {
    name,
    enabled: state === "enabled",
    interpreter: values.get("interpreter") ?? "",
    flags: (values.get("flags") ?? "").trim(),
    offset: Number(values.get("offset") ?? 0),
    magic: bytes(values.get("magic")),
    mask: bytes(values.get("mask")),
  };
}

/** Whether the kernel takes a program with these first bytes for one of that kind. */
export function isOfFormat({ enabled, offset, magic, mask }: BinaryFormat, head: Uint8Array): boolean {
  if (!enabled || magic === undefined || offset + magic.length > HEAD) return false;
  return magic.every((byte, at) => {
    const difference = byte ^ (head[offset + at] ?? 0);
    return (difference & (mask?.[at] ?? 0xff)) === 0;
  });
}
