import { afterAll, beforeAll, expect, test } from "bun:test";
import { chmodSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { tarHeader, tarPadding, tarTrailer } from "../../../src/base/lib/tar/writer.ts";
import { run, TestDaemon } from "../../harness/daemon.ts";
import { RealDocker } from "../../harness/real-docker.ts";
import { type BuildCase, builds, type ContextFile } from "./dockerfiles.ts";
import { readSaved, type SavedImage } from "./saved-image.ts";

const missing = RealDocker.missing();
if (missing) console.log(`skipped: ${missing}`);

/** What came of a build: an image, or why there is none. */
type Outcome = { readonly image: SavedImage } | { readonly failure: string };

const root = mkdtempSync("/tmp/tug-build-parity-");
let tug: TestDaemon;
let docker: RealDocker;

beforeAll(async () => {
  if (missing) return;
  [tug, docker] = await Promise.all([TestDaemon.start(), RealDocker.start()]);
  await tug.importBusybox();
}, 120_000);

afterAll(async () => {
  rmSync(root, { recursive: true, force: true });
  await Promise.all([tug?.close(), docker?.close()]);
});

builds.forEach((one, index) => {
  test.skipIf(missing !== undefined)(
    `build: ${one.name}`,
    async () => {
      const context = writeContext(join(root, `context-${index}`), one);
      const [ours, theirs] = await Promise.all([
        outcome(index, "tug", one, context, (args) => tug.tug(args)),
        outcome(index, "docker", one, context, (args) =>
          docker.docker(args, { env: { DOCKER_BUILDKIT: "1", DOCKER_CONFIG: join(root, "config") } }),
        ),
      ]);
      if (one.fails) {
        expect(ours).toHaveProperty("failure");
        expect(theirs).toHaveProperty("failure");
        return;
      }
      expect(ours).toHaveProperty("image");
      expect(theirs).toHaveProperty("image");
      if (!("image" in ours) || !("image" in theirs)) return;
      expect(ours.image.files).toEqual(theirs.image.files);
      expect(comparable(ours.image.config)).toEqual(comparable(theirs.image.config));
    },
    120_000,
  );
});

test.skipIf(missing !== undefined)(
  "output: files of any name, kind and mode, in a directory and in a tar",
  async () => {
    const make = `mkdir -p /o/dir && cd /o && ln -s /etc abs && ln -s ../../.. up && ln -s nowhere dangling
touch "new
line" "tab\tx" 'back\\slash' ünï -- -rf && chmod 4755 -- -rf && ln -- -rf hard
chmod 1777 dir && chown 12:34 dir && touch -d @86400 dir/old && printf "#!/bin/sh" >dir/run && chmod 750 dir/run
`;
    const dockerfile = "FROM busybox AS b\nCOPY make /\nRUN sh -e /make\nFROM scratch\nCOPY --from=b /o /\n";
    const context = writeContext(join(root, "context-output"), { name: "", dockerfile, files: { make } });
    const listed = async (cli: typeof tug.tug, who: string) => {
      const at = (name: string) => join(root, `${who}-output-${name}`);
      for (const output of [`type=local,dest=${at("local")}`, `type=tar,dest=${at("tar")}`]) {
        const built = await cli(["build", "--progress=plain", "-o", output, context]);
        expect(built).toMatchObject({ code: 0 });
      }
      const unpacked = at("unpacked");
      mkdirSync(unpacked);
      await run(["tar", "--numeric-owner", "-xpf", at("tar"), "-C", unpacked]);
      const trees = [at("local"), unpacked].map(async (tree) => {
        const found = await run(["find", tree, "-mindepth", "1", "-printf", "%P %y %m %U:%G %n %l\\0"]);
        return found.stdout.split("\0").sort();
      });
      return await Promise.all(trees);
    };
    const config = { DOCKER_BUILDKIT: "1", DOCKER_CONFIG: join(root, "config") };
    const [ours, theirs] = await Promise.all([
      listed((args) => tug.tug(args), "tug"),
      listed((args) => docker.docker(args, { env: config }), "docker"),
    ]);
    expect(ours).toEqual(theirs);
    expect(ours[0]?.length).toBe(13);
  },
  120_000,
);

function writeContext(folder: string, { dockerfile, files = {} }: BuildCase): string {
  mkdirSync(folder, { recursive: true });
  const all: Record<string, ContextFile> = { ...files, Dockerfile: dockerfile };
  for (const [path, file] of Object.entries(all)) {
    const target = join(folder, path);
    mkdirSync(dirname(target), { recursive: true });
    if (typeof file === "string") writeFileSync(target, file);
    else if ("link" in file) symlinkSync(file.link, target);
    else if ("directory" in file) {
      mkdirSync(target, { recursive: true });
      chmodSync(target, file.mode ?? 0o755);
    } else if ("tar" in file) {
      const bytes = tarOf(file.tar);
      writeFileSync(target, file.gzip ? Bun.gzipSync(bytes) : bytes);
    } else {
      writeFileSync(target, file.content);
      chmodSync(target, file.mode);
    }
  }
  return folder;
}

function tarOf(files: Readonly<Record<string, string>>): Uint8Array<ArrayBuffer> {
  const members = Object.entries(files).flatMap(([path, content]) => [
    tarHeader({ path, kind: "file", mode: 0o640, uid: 7, gid: 8, size: content.length }),
    Buffer.from(content),
    tarPadding(content.length),
  ]);
  return new Uint8Array(Buffer.concat([...members, tarTrailer]));
}

async function outcome(
  index: number,
  who: string,
  one: BuildCase,
  context: string,
  cli: (args: readonly string[]) => Promise<{ code: number; stdout: string; stderr: string }>,
): Promise<Outcome> {
  const tag = `case${index}`;
  const built = await cli(["build", "--progress=plain", "-t", tag, ...(one.args ?? []), context]);
  if (built.code !== 0) return { failure: built.stderr };
  const archive = join(root, `${who}-${index}.tar`);
  const folder = join(root, `${who}-${index}`);
  const saved = await cli(["save", "-o", archive, tag]);
  if (saved.code !== 0) throw new Error(`save: ${saved.stderr}`);
  mkdirSync(folder);
  const unpacked = await run(["tar", "-xf", archive, "-C", folder]);
  if (unpacked.code !== 0) throw new Error(`tar: ${unpacked.stderr}`);
  return { image: readSaved(folder) };
}

/** Without times and digests, and without what says who made it. */
function comparable(config: Record<string, unknown>): unknown {
  const {
    config: run,
    history,
    architecture,
    os,
  } = config as {
    config: Record<string, unknown>;
    history: { created_by?: string; comment?: string; empty_layer?: boolean }[];
    architecture: string;
    os: string;
  };
  const set = Object.entries(run).filter(
    ([name, value]) =>
      !["Image", "Hostname", "Domainname", "Tty", "OpenStdin", "StdinOnce"].includes(name) && !unset(value),
  );
  const own = history.slice(history.findIndex((entry) => entry.comment?.startsWith("buildkit")));
  return {
    os,
    architecture,
    run: Object.fromEntries(set),
    history: own.map(({ created_by, empty_layer, comment }) => ({
      created_by: told(created_by ?? ""),
      empty_layer: empty_layer ?? false,
      comment,
    })),
  };
}

/** Younger versions of BuildKit tell these instructions in other words: flags of COPY, the value of ARG, lists. */
function told(text: string): string {
  return text
    .replace(/^(COPY|ADD) (?:--\S+ )+/, "$1 ")
    .replace(/^ARG (\w+)=.*$/, "ARG $1")
    .replace(/^(EXPOSE|HEALTHCHECK) .*$/s, "$1");
}

function unset(value: unknown): boolean {
  return (
    value === null ||
    value === undefined ||
    value === "" ||
    value === false ||
    (typeof value === "object" && Object.keys(value ?? {}).length === 0 && !Array.isArray(value))
  );
}
