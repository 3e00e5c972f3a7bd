import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Builds } from "../harness/builds.ts";
import { run, TestDaemon } from "../harness/daemon.ts";

// A machine under load takes its time.
setDefaultTimeout(120_000);

/** CVE-2024-24557: images made to be taken for the results of somebody's steps. */
let daemon: TestDaemon;
let builds: Builds;
beforeAll(async () => {
  daemon = await TestDaemon.start();
  builds = new Builds(daemon);
});
afterAll(async () => {
  builds[Symbol.dispose]();
  await daemon.stopAndClose();
});

const config = async (name: string) => JSON.parse(await daemon.ok(["image", "inspect", name]))[0].Config;
const fine = async (Dockerfile: string, query: Record<string, string> = {}) => {
  const result = await builds.classic({ Dockerfile }, query);
  expect(result.error).toBeUndefined();
  return result.text;
};

test("an image with the history, parent and configuration of a step's result is never taken for it", async () => {
  const Dockerfile = "FROM busybox\nRUN echo honest >/who\n";
  await fine(Dockerfile, { t: "honest" });
  const archive = join(builds.root, "honest.tar");
  await daemon.ok(["save", "-o", archive, "honest"]);
  // The same documents, with other bytes in the layer that the step made.
  const folder = join(builds.root, "forged");
  const forge = `mkdir ${folder} && cd ${folder} && tar -xf ${archive} && cat manifest.json`;
  const { stdout } = await run(["sh", "-ec", forge]);
  const [{ Config, Layers }] = JSON.parse(stdout);
  const last = Layers.at(-1);
  await run([
    "sh",
    "-ec",
    `cd ${folder} && mkdir t && echo poison >t/who && tar -C t -cf forged.tar who && mv forged.tar ${last}.new`,
  ]);
  const bytes = readFileSync(join(folder, `${last}.new`));
  const digest = new Bun.CryptoHasher("sha256").update(bytes).digest("hex");
  writeFileSync(join(folder, `forged-layer.tar`), bytes);
  const document = JSON.parse(readFileSync(join(folder, Config), "utf8"));
  document.rootfs.diff_ids[document.rootfs.diff_ids.length - 1] = `sha256:${digest}`;
  writeFileSync(join(folder, "forged.json"), JSON.stringify(document));
  writeFileSync(
    join(folder, "manifest.json"),
    JSON.stringify([
      {
        Config: "forged.json",
        RepoTags: ["forged:latest"],
        Layers: [...Layers.slice(0, -1), "forged-layer.tar"],
      },
    ]),
  );
  await run([
    "sh",
    "-ec",
    `cd ${folder} && tar -cf ../forged.tar manifest.json forged.json forged-layer.tar ${Layers.slice(0, -1).join(" ")}`,
  ]);
  await daemon.ok(["rmi", "honest"]);
  await daemon.ok(["builder", "prune", "-af"]);
  await daemon.ok(["load", "-i", join(builds.root, "forged.tar")]);
  expect(await daemon.ok(["run", "--rm", "forged", "cat", "/who"])).toBe("poison");
  for (const query of [{}, { cachefrom: '["forged"]' }] as Record<string, string>[]) {
    await fine(Dockerfile, { t: "again", ...query });
    expect(await daemon.ok(["run", "--rm", "again", "cat", "/who"])).toBe("honest");
    await daemon.ok(["rmi", "again"]);
  }
});

test("instructions that only change the configuration are never those of another build", async () => {
  const base = "FROM busybox\nRUN echo same >/x\n";
  const variants = [
    "HEALTHCHECK CMD one",
    "HEALTHCHECK CMD two",
    "HEALTHCHECK NONE",
    "HEALTHCHECK --interval=5s CMD one",
    "ONBUILD RUN one",
    "ONBUILD RUN two",
    "USER 7",
    "STOPSIGNAL 9",
    'SHELL ["/bin/ash", "-c"]',
    'ENTRYPOINT ["x"]',
    "ENTRYPOINT x",
    "EXPOSE 1",
    "VOLUME /v",
    "LABEL a=b",
  ];
  const seen = new Set<string>();
  for (const [index, line] of variants.entries()) {
    await fine(`${base}${line}\n`, { t: `v${index}` });
    seen.add(JSON.stringify(await config(`v${index}`)));
  }
  expect(seen.size).toBe(variants.length);
});

test("what a step runs with decides: user, directory, environment, arguments, shell, network, parent, mounts", async () => {
  const base = "FROM busybox\n";
  const step = "RUN date +%N >/when\n";
  const variants = [
    "",
    "USER 7\n",
    "WORKDIR /tmp\n",
    "ENV A=1\n",
    "ENV A=2\n",
    "ARG B=1\n",
    'SHELL ["/bin/sh", "-ec"]\n',
    "RUN true\n",
    "COPY Dockerfile /elsewhere\n",
  ];
  const steps = [
    step,
    step.replace("RUN", "RUN --network=none"),
    step.replace("RUN", "RUN --mount=type=tmpfs,target=/t"),
    step.replace("RUN", "RUN --mount=type=tmpfs,target=/u"),
    step.replace("RUN", "RUN --mount=type=cache,target=/u"),
    step.replace("RUN", "RUN --mount=type=cache,id=other,target=/u"),
    step.replace("+%N", "'+%N'"),
  ];
  const files = [
    ...variants.map((one) => base + one + step.replace("/when", "/tmp/when")),
    ...steps.map((one) => base + one),
  ];
  for (const Dockerfile of files) {
    expect([Dockerfile, lastCached(await fine(Dockerfile))]).toEqual([Dockerfile, false]);
  }
  // And they are hits afterwards.
  for (const Dockerfile of files)
    expect([Dockerfile, lastCached(await fine(Dockerfile))]).toEqual([Dockerfile, true]);
});

test("of a context only what is copied counts, with its bytes and modes", async () => {
  const Dockerfile = "FROM busybox\nCOPY --chmod=600 a /a\nRUN date +%N >/when\n";
  const cached = async (files: Record<string, string>) => {
    const { text, error } = await builds.classic({ Dockerfile, ...files });
    expect(error).toBeUndefined();
    return lastCached(text);
  };
  expect(await cached({ a: "one" })).toBe(false);
  expect(await cached({ a: "one", other: "not copied" })).toBe(true);
  expect(await cached({ a: "two" })).toBe(false);
  expect(await cached({ a: "one", Dockerfile: Dockerfile.replace("600", "644") })).toBe(false);
});

/** Whether the last instruction's result was there already. */
function lastCached(text: string): boolean {
  return text.slice(text.lastIndexOf("Step ")).includes("Using cache");
}
