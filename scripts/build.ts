/**
 * Builds the one executable, dist/tug. Bytecode and lazily loaded modules keep its start-up at a few milliseconds; dotenv and
 * bunfig look-ups are off because a tool must not be steered by files of the folder it is called in.
 */
import { mkdir, rename } from "node:fs/promises";
import { join } from "node:path";

const root = join(import.meta.dir, "..");
const outfile = process.argv[2] ?? join(root, "dist/tug");
const manifest = (await Bun.file(join(root, "package.json")).json()) as { version: string };

async function commitId(): Promise<string> {
  // A build in a container has the sources and no repository.
  const told = process.env["TUG_COMMIT"];
  if (told !== undefined) return told;
  const git = Bun.spawn(["git", "-C", root, "rev-parse", "--short=7", "HEAD"], { stderr: "ignore" });
  const text = (await new Response(git.stdout).text()).trim();
  return (await git.exited) === 0 && text !== "" ? text : "unknown";
}

const define = {
  TUG_VERSION: JSON.stringify(manifest.version),
  TUG_COMMIT: JSON.stringify(await commitId()),
  TUG_BUILT: JSON.stringify(new Date().toISOString().replace(/\.\d+Z$/, "Z")),
};

await mkdir(join(outfile, ".."), { recursive: true });
// Built beside and renamed: a running daemon's executable cannot be written over (ETXTBSY).
const fresh = `${outfile}.new`;
const args = [
  "build",
  "--compile",
  "--bytecode",
  // Chunks keep the daemon's node:* and bun:* imports out of the command line's way.
  "--splitting",
  "--min-chunk-size=4096",
  "--minify",
  "--keep-names",
  "--format=esm",
  "--target=bun",
  "--no-compile-autoload-dotenv",
  "--no-compile-autoload-bunfig",
  ...Object.entries(define).flatMap(([name, value]) => ["--define", `${name}=${value}`]),
  join(root, "src/bin/tug.ts"),
  "--outfile",
  fresh,
];
const build = Bun.spawn([process.execPath, ...args], { stdio: ["ignore", "ignore", "pipe"] });
const complaints = await new Response(build.stderr).text();
if ((await build.exited) !== 0) {
  console.error(complaints);
  process.exit(1);
}
await rename(fresh, outfile);
console.log(`built ${outfile}`);
