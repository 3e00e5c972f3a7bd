import { expect, test } from "bun:test";
import { InstallerReports } from "./installer-reports.ts";
import type { BootstrapReport } from "./protocol.ts";

function read(...chunks: string[]) {
  const seen: BootstrapReport[] = [];
  const reports = new InstallerReports((report) => seen.push(report));
  for (const chunk of chunks) reports.push(chunk);
  return { reports, seen };
}

test("progress becomes steps with counts, wherever the text is cut", () => {
  const { seen } = read(
    "P: 3 10 DOWN",
    "DEBS\nPA: x\nPF: Downloading %s\nP: 1 7 CONFREQ\nP: 1 0 DOWNREL\nP: 1 2 UNHEARD\n",
  );
  expect(seen).toEqual([
    { kind: "step", step: "packages", text: "Retrieving and validating", current: 3, total: 10 },
    { kind: "step", step: "configuration", text: "Configuring", current: 1, total: 7, units: "packages" },
  ]);
});

test("an error is put together from its format and arguments, and the last warnings are kept", () => {
  const { reports } = read(
    "W: A\nWA: one\nWF: bad %s\nE: NOGETREL\nEA: http://m/Release\nEF: Failed getting\\n file %s\n",
  );
  expect(reports.warnings).toEqual(["bad one"]);
  expect(reports.failure).toEqual({ name: "NOGETREL", text: "Failed getting file http://m/Release" });
});

test("what is no report is passed over, and a line without end takes no memory", () => {
  const { reports, seen } = read(
    "noise\nEF: nothing began\n",
    "x".repeat(10_000_000),
    "\nI: VALIDRELSIG\nIA: KEY\nIF: Valid (%s)\n",
  );
  expect(reports.failure).toBeUndefined();
  expect(seen).toEqual([{ kind: "step", step: "release", text: "Signature is valid (key KEY)" }]);
});
