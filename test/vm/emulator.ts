import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { run } from "../harness/daemon.ts";

/**
 * Brings what inside.sh needs to run programs of another machine into a directory, from Debian's archive: an emulator for arm64, and
 * busybox for that. Returns why it could not. The host's own package lists are not touched: those of arm64 are a private apt's.
 */
export async function bringEmulator(directory: string, scratch: string): Promise<string | undefined> {
  const state = join(scratch, "apt");
  for (const path of ["lists/partial", "archives/partial"]) mkdirSync(join(state, path), { recursive: true });
  writeFileSync(join(state, "status"), "");
  writeFileSync(
    join(state, "apt.conf"),
    [
      `Dir::State "${state}";`,
      `Dir::State::lists "${state}/lists";`,
      `Dir::State::status "${state}/status";`,
      `Dir::Cache "${state}";`,
      'APT::Architecture "arm64";',
      'APT::Architectures "arm64";',
    ].join("\n"),
  );
  // One file of each package; tar ends before dpkg-deb has written all.
  const file = (debs: string, path: string, to: string) =>
    `dpkg-deb --fsys-tarfile ${debs} | tar xO --occurrence=1 ${path} >'${join(directory, to)}'`;
  const script = [
    `cd '${state}'`,
    "apt-get download -qq qemu-user-static",
    `export APT_CONFIG='${state}/apt.conf'`,
    "apt-get update -qq",
    "apt-get download -qq busybox-static:arm64",
    file("qemu-user-static_*.deb", "./usr/bin/qemu-aarch64-static", "qemu-aarch64"),
    file("busybox-static_*.deb", "./bin/busybox", "busybox-arm64"),
    `chmod +x '${join(directory, "qemu-aarch64")}'`,
  ];
  // Debian's archive may be out of reach, or too slow: nothing else of the stage depends on it.
  const result = await run(["sh", "-e", "-c", script.join("\n")], { timeout: 120_000 }).catch(
    (error: unknown) => ({
      code: 1,
      stderr: String(error),
    }),
  );
  return result.code === 0 ? undefined : result.stderr.trim() || `exit code ${result.code}`;
}
