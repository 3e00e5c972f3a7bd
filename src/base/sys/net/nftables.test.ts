import { expect, test } from "bun:test";
import { join } from "node:path";

test("a transaction is done or fails whatever signals come while it is made: a child that ends is no failure of it", async () => {
  // In a process and a network of its own: no timer of this one's is to go off twenty thousand times a second.
  const script = join(import.meta.dir, "testdata/interrupted-nftables.ts");
  const child = Bun.spawn(["unshare", "--net", process.execPath, script], {
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
  });
  const [said, complaint] = await Promise.all([child.stdout.text(), child.stderr.text()]);
  expect([await child.exited, complaint]).toEqual([0, ""]);
  const { signals, failures } = JSON.parse(said) as { signals: boolean; failures: readonly string[] };
  expect(failures).toEqual([]);
  expect(signals).toBe(true);
});
