import { expect, test } from "bun:test";
import { formatPlatform } from "../../base/spec/oci/platform.ts";
import { type BinaryFormat, parseFormat } from "../../base/sys/binfmt.ts";
import { emulationOf, missingEmulator, runnablePlatforms } from "./emulation.ts";

const host = { os: "linux", architecture: "amd64" };
const arm64 = { os: "linux", architecture: "arm64" };

/** As the kernel tells of what Debian's qemu-user-static registers. */
const aarch64 = (flags: string, state = "enabled") =>
  parseFormat(
    "qemu-aarch64",
    `${state}\ninterpreter /usr/libexec/qemu-binfmt/aarch64-binfmt-P\nflags: ${flags}\noffset 0\n` +
      "magic 7f454c460201010000000000000000000200b700\nmask ffffffffffffff00fffffffffffffffffeffffff\n",
  );
const arm = parseFormat(
  "qemu-arm",
  "enabled\ninterpreter /usr/bin/qemu-arm-static\nflags: F\noffset 0\nmagic 7f454c4601010100000000000000000002002800\nmask ffffffffffffff00fffffffffffffffffeffffff\n",
);
const python = parseFormat(
  "python3.11",
  "enabled\ninterpreter /usr/bin/python3.11\nflags: \nextension .py\n",
);
const names = (formats: readonly BinaryFormat[]) =>
  runnablePlatforms(host, formats)
    .map(formatPlatform)
    .filter((name) => name !== "linux/386");

test("a platform counts when an enabled emulator that works in every root takes its programs", () => {
  expect(names([python, aarch64("POF"), arm])).toEqual([
    "linux/amd64",
    "linux/arm64",
    "linux/arm/v7",
    "linux/arm/v6",
  ]);
  expect(names([aarch64("PO")])).toEqual(["linux/amd64"]);
  expect(names([aarch64("F", "disabled")])).toEqual(["linux/amd64"]);
  expect(emulationOf(arm64, host, [aarch64("POF")])).toEqual({ kind: "emulated", by: "qemu-aarch64" });
  expect(emulationOf(host, host, [])).toEqual({ kind: "native" });
  expect(emulationOf({ os: "linux", architecture: "386" }, host, [])).toEqual({ kind: "native" });
});

test("where an emulator is missing, the way out is told; one that containers cannot find is named", () => {
  const told = (formats: readonly BinaryFormat[]) =>
    missingEmulator(arm64, host, emulationOf(arm64, host, formats)) ?? "";
  expect(told([arm])).toContain(
    "its programs are linux/arm64, this machine is linux/amd64 and has no emulator",
  );
  expect(told([arm])).toContain("tonistiigi/binfmt --install arm64");
  expect(told([aarch64("PO")])).toContain(
    "qemu-aarch64 that is registered cannot be found inside containers",
  );
  expect(told([aarch64("F")])).toBe("");
});

/** Emulators that are registered in a user namespace hold there alone (Linux 6.7): nothing of the host's changes. */
const inNamespace = async (script: string) => {
  const child = Bun.spawn(["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", script], {
    stdio: ["ignore", "pipe", "pipe"],
  });
  const [text, error] = await Promise.all([child.stdout.text(), child.stderr.text()]);
  return { code: await child.exited, text, error };
};
const register = "mount -t binfmt_misc none /mnt";
const trial = await inNamespace(register);
if (trial.code !== 0) console.log(`skipped: emulators of a user namespace: ${trial.error.trim()}`);

test.skipIf(trial.code !== 0)(
  "what is registered is found at once, wherever binfmt_misc is mounted, and gone when it goes",
  async () => {
    const look = `${process.execPath} ${import.meta.dir}/testdata/platforms.ts`;
    // The mask of Debian's package, and true(1) in the emulator's place, which nobody calls.
    const line =
      ":qemu-aarch64:M::\\\\x7fELF\\\\x02\\\\x01\\\\x01\\\\x00\\\\x00\\\\x00\\\\x00\\\\x00\\\\x00\\\\x00\\\\x00\\\\x00\\\\x02\\\\x00\\\\xb7\\\\x00:\\\\xff\\\\xff\\\\xff\\\\xff\\\\xff\\\\xff\\\\xff\\\\x00\\\\xff\\\\xff\\\\xff\\\\xff\\\\xff\\\\xff\\\\xff\\\\xff\\\\xfe\\\\xff\\\\xff\\\\xff:/bin/true:F";
    const { text, error } = await inNamespace(
      `set -e; ${register}; ${look}; printf '%s' "${line}" >/mnt/register; ${look}; echo -1 >/mnt/qemu-aarch64; ${look}`,
    );
    expect({ lines: text.trim().split("\n"), error }).toEqual({
      lines: ["linux/amd64", "linux/amd64 linux/arm64", "linux/amd64"],
      error: "",
    });
  },
  60_000,
);
