/**
 * Runs the stages of the test suite, adds up what they counted and prints "N passed, N failed" last. After the stages it
 * looks at the machine: whatever was not there before (mounts, interfaces, tables, cgroups, monitors) counts as a failure.
 */
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { machineState, newSince } from "../test/harness/machine.ts";

interface Stage {
  readonly name: string;
  /** A command that counts as one test, or a folder of tests. */
  readonly command?: readonly string[];
  readonly paths?: readonly string[];
  /** Test files side by side; each has a daemon of its own. */
  readonly parallel?: number;
  /** Milliseconds a single test may take. */
  readonly timeout?: number;
}

const bun = process.execPath;
const stages: readonly Stage[] = [
  { name: "types", command: [bun, "node_modules/typescript/bin/tsc", "--noEmit"] },
  { name: "lint", command: ["node_modules/.bin/biome", "check", "."] },
  { name: "layers", command: [bun, "scripts/check-layers.ts"] },
  { name: "unit", paths: ["./src", "./bench"], parallel: 2, timeout: 60_000 },
  { name: "e2e", paths: ["./test/e2e"], parallel: 2, timeout: 120_000 },
  { name: "security", paths: ["./test/security"], parallel: 2, timeout: 120_000 },
  { name: "faults", paths: ["./test/faults"], parallel: 2, timeout: 120_000 },
  { name: "clients", paths: ["./test/clients"], timeout: 180_000 },
  { name: "parity", paths: ["./test/parity"], parallel: 2, timeout: 120_000 },
  { name: "vm", paths: ["./test/vm"], timeout: 60_000 },
];

process.chdir(resolve(import.meta.dir, ".."));
// Tests look at modes of what they make.
process.umask(0o022);
const wanted = process.argv.slice(2);
const unknown = wanted.filter((name) => !stages.some((stage) => stage.name === name));
if (unknown.length > 0) {
  console.error(
    `unknown stage: ${unknown.join(", ")}; stages: ${stages.map((stage) => stage.name).join(" ")}`,
  );
  process.exit(2);
}
const scratch = mkdtempSync(join(tmpdir(), "tug-test-"));
const before = machineState();
let passed = 0;
let failed = 0;
let skipped = 0;
const summary: string[] = [];
const told: string[] = [];

/** Lines of a failure's message that the summary repeats. */
const FAILURE_LINES = 40;

interface Report {
  readonly tests: number;
  readonly failures: number;
  readonly skipped: number;
  /** What failed, and why: place, name and message of each test. */
  readonly told: readonly string[];
}

/** Sums the attributes of junit's outermost element, and collects the tests that failed. */
function readJunit(path: string): Report | undefined {
  let text: string;
  try {
    text = readFileSync(path, "utf8");
  } catch {
    return undefined; // the runner died before it wrote its report: the caller counts that as a failure
  }
  const head = /<testsuites\b([^>]*)>/.exec(text)?.[1];
  if (head === undefined) return undefined;
  const number = (name: string) => Number(new RegExp(`\\b${name}="(\\d+)"`).exec(head)?.[1] ?? 0);
  return {
    tests: number("tests"),
    failures: number("failures") + number("errors"),
    skipped: number("skipped"),
    told: [...text.matchAll(/<testcase\b([^>]*)>\s*<failure\b[^>]*?(?:\/>|>([^<]*)<\/failure>)/g)].map(
      ([whole, test = "", message]) => {
        const value = (name: string, of: string) =>
          unescapeXml(new RegExp(`\\b${name}="([^"]*)"`).exec(of)?.[1] ?? "");
        const why = message ? unescapeXml(message) : value("message", whole);
        const place = `${value("file", test)}:${value("line", test)}`;
        return `${place} ${value("name", test)}\n${why.trim().split("\n").slice(0, FAILURE_LINES).join("\n")}`;
      },
    ),
  };
}

function unescapeXml(text: string): string {
  const names: Record<string, string> = { lt: "<", gt: ">", quot: '"', apos: "'", amp: "&" };
  return text.replace(/&(?:#(\d+)|(\w+));/g, (whole, code?: string, name = "") =>
    code ? String.fromCodePoint(Number(code)) : (names[name] ?? whole),
  );
}

for (const stage of stages) {
  if (wanted.length > 0 && !wanted.includes(stage.name)) continue;
  const started = performance.now();
  console.log(`\n=== ${stage.name}`);
  let line: string;
  if (stage.command) {
    const run = Bun.spawnSync([...stage.command], { stdio: ["ignore", "pipe", "pipe"] });
    const output = `${run.stdout}${run.stderr}`.trim();
    console.log(output);
    if (run.exitCode === 0) passed++;
    else {
      failed++;
      told.push(`${stage.name}\n${output.split("\n").slice(0, FAILURE_LINES).join("\n")}`);
    }
    line = run.exitCode === 0 ? "ok" : `FAILED (exit code ${run.exitCode})`;
  } else {
    const report = join(scratch, `${stage.name}.xml`);
    const run = Bun.spawnSync(
      [
        bun,
        "test",
        ...(stage.paths ?? []),
        `--timeout=${stage.timeout}`,
        ...(stage.parallel ? [`--parallel=${stage.parallel}`] : []),
        "--reporter=junit",
        `--reporter-outfile=${report}`,
      ],
      { stdio: ["ignore", "inherit", "inherit"], env: { ...process.env, TUG_BINARY: resolve("dist/tug") } },
    );
    const counted = readJunit(report);
    if (!counted) {
      failed++;
      line = `FAILED: no report (exit code ${run.exitCode})`;
    } else {
      // A run that exits with an error though no test failed (a broken file, an unhandled rejection) is a failure too.
      const failures = counted.failures === 0 && run.exitCode !== 0 ? 1 : counted.failures;
      passed += counted.tests - counted.failures - counted.skipped;
      failed += failures;
      skipped += counted.skipped;
      told.push(...counted.told);
      line = `${counted.tests - counted.failures - counted.skipped} passed, ${failures} failed${counted.skipped ? `, ${counted.skipped} skipped` : ""}`;
    }
  }
  summary.push(`${stage.name.padEnd(8)} ${line} (${Math.round((performance.now() - started) / 1000)} s)`);
}

const left = await newSince(before);
if (left.length > 0) {
  failed++;
  summary.push(`left behind on the machine: FAILED\n  ${left.join("\n  ")}`);
} else {
  passed++;
  summary.push("left behind on the machine: nothing");
}
rmSync(scratch, { recursive: true, force: true });
// Last, so that whoever sees but the end of a long log sees what failed.
if (told.length > 0) console.log(`\n=== what failed\n${told.join("\n\n")}`);
console.log(`\n${summary.join("\n")}\n`);
console.log(`${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ""}`);
process.exit(failed === 0 ? 0 : 1);
