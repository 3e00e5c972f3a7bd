import { afterAll, afterEach, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Builds } from "../harness/builds.ts";
import { run, TestDaemon } from "../harness/daemon.ts";

// A machine under load takes its time.
setDefaultTimeout(120_000);

/** The holes of `build-run`, from outside: a daemon, its clients, and a canary of the host. */
const missing = Builds.missing();
if (missing) console.log(`skipped: ${missing}`);
const rounds = Number(process.env["TUG_RACE_ROUNDS"] ?? 4);
const marker = "CANARY-OF-THE-HOST";

let daemon: TestDaemon;
let builds: Builds;
let canary: string;
beforeAll(async () => {
  if (missing) return;
  daemon = await TestDaemon.start();
  builds = new Builds(daemon);
  canary = mkdtempSync("/tmp/tug-e2e-canary-");
  mkdirSync(join(canary, "secrets"));
  for (const name of ["file", "secrets/s"]) writeFileSync(join(canary, name), "");
  writeFileSync(join(canary, "marker"), marker);
});
afterEach(async () => {
  if (missing) return;
  expect(readdirSync(canary).sort()).toEqual(["file", "marker", "secrets"]);
  expect(readdirSync(join(canary, "secrets"))).toEqual(["s"]);
  expect(readFileSync(join(canary, "marker"), "utf8")).toBe(marker);
});
afterAll(async () => {
  if (missing) return;
  builds[Symbol.dispose]();
  await daemon.stopAndClose();
  rmSync(canary, { recursive: true });
});

const attack = missing ? test.skip : test;
const said = ({ stderr, stdout }: { stderr: string; stdout: string }) => stderr + stdout;

attack("a part of a cache that a step beside swaps for a link to the host is never the host's", async () => {
  const swap = `cd /c && mkdir -p a sub && ln -sfn ${canary} link && touch ready; while [ ! -e done ]; do mv -T sub a/x; mv -T link sub; mv -T sub link; mv -T a/x sub; done`;
  const tries = Array.from(
    { length: rounds },
    (_, index) =>
      `RUN --mount=type=cache,id=race,target=/all --mount=type=cache,id=race,source=sub,target=/c true ${index}; ls /c >/seen-${index}; echo overwritten >/c/marker`,
  );
  const files = {
    Dockerfile: [
      "FROM busybox AS attacker",
      `RUN --mount=type=cache,id=race,target=/c ${swap}`,
      "FROM busybox AS ready",
      "RUN --mount=type=cache,id=race,target=/c while [ ! -e /c/ready ]; do sleep 0.02; done",
      ...tries,
      "RUN --mount=type=cache,id=race,target=/c touch /c/done; ls /c",
      "FROM scratch",
      "COPY --from=attacker /etc/passwd /1",
      "COPY --from=ready /etc/passwd /2",
    ].join("\n"),
  };
  // What a race makes of a step is its own affair, a link that is met ends it; the host's file stays what it was.
  const result = await builds.buildkit(files, ["--no-cache"]);
  expect(said(result)).not.toContain(marker);
  if (result.code !== 0) expect(said(result)).not.toMatch(/internal error|EINVAL|undefined/);
});

attack("what a step puts in the place of its mounts is not followed when they are taken away", async () => {
  const Dockerfile = `FROM busybox
RUN --mount=type=tmpfs,target=/run/secrets --mount=type=bind,source=Dockerfile,target=/x/file mv /run /r && ln -s ${canary} /run; mv /x /r2 && ln -s ${canary} /x; ln -s ${canary}/secrets /r3
RUN --mount=type=cache,target=/r3/s --mount=type=tmpfs,target=/run/secrets/s --mount=type=tmpfs,target=/x/file/y ls -l / || true
`;
  const result = await builds.buildkit({ Dockerfile }, ["-t", "swapped"]);
  expect(said(result)).not.toContain(marker);
  const listed = await daemon.ok(["run", "--rm", "busybox", "true"]);
  expect(listed).toBe("");
});

attack("sources and ids that are links or have dots show nothing of the host", async () => {
  const evil = `FROM busybox
RUN ln -s / /root-link && ln -s ../../../../../../.. /up && ln -s ${canary} /host && ln -s /proc/self/root /proc-link && mkdir /own && touch /own/image-file
`;
  expect((await builds.buildkit({ Dockerfile: evil }, ["-t", "evil"])).code).toBe(0);
  const shows = ["/root-link", "/up", "../../..", "/root-link/up/root-link"];
  const lines = shows.map(
    (source, index) =>
      `RUN --mount=type=bind,from=evil,source=${source},target=/m test -e /m/own/image-file && test ! -e /m${canary} && echo fine-${index}`,
  );
  const caches = ["../..", "/", "../../../../../../../../../../etc", "a/../.."].map(
    (id, index) =>
      `RUN --mount=type=cache,id=${id},target=/c test -z "$(ls -A /c)" && touch /c/mine && echo cache-${index}`,
  );
  const good = await builds.buildkit({ Dockerfile: ["FROM busybox", ...lines, ...caches].join("\n") });
  expect(good.code, said(good)).toBe(0);
  for (const [index] of lines.entries()) expect(said(good)).toContain(`fine-${index}`);
  for (const source of ["/host", "/host/marker", "/proc-link/1/root"]) {
    const Dockerfile = `FROM busybox\nRUN --mount=type=bind,from=evil,source=${source},target=/m ls /m; cat /m\n`;
    const result = await builds.buildkit({ Dockerfile });
    expect(result.code).not.toBe(0);
    expect(said(result)).toContain("not found");
    expect(said(result)).not.toContain(marker);
  }
});

attack("COPY --from an image of hostile links copies what the image has", async () => {
  const Dockerfile = `FROM busybox AS evil
RUN mkdir /etc2 && echo of-the-image >/marker && ln -s ${canary} /host && ln -s ${canary}/marker /file && ln -s /proc/1/root /proc1
FROM busybox
`;
  for (const source of [
    "/host/marker",
    "/file",
    "/host/",
    "/proc1/etc/shadow",
    `/../../../..${canary}/marker`,
  ]) {
    const result = await builds.buildkit({
      Dockerfile: `${Dockerfile}COPY --from=evil ${source} /got\nRUN cat /got/marker /got 2>&1; true\n`,
    });
    expect(said(result)).not.toContain(marker);
  }
  // A destination that leads to the host leads into the image.
  const into = `${Dockerfile}RUN ln -s ${canary} /d && ln -s ${canary}/marker /f\nCOPY --from=evil /marker /d/marker\nCOPY --from=evil /marker /f\nRUN cat ${canary}/marker\n`;
  const result = await builds.buildkit({ Dockerfile: into });
  expect(result.code, said(result)).toBe(0);
  expect(said(result)).toContain("of-the-image");
});

attack(
  "more rights than a container has take an entitlement, also for what is in the cache, over every protocol",
  async () => {
    const insecure = { Dockerfile: "FROM busybox\nRUN --security=insecure echo ran-insecure\n" };
    const host = { Dockerfile: "FROM busybox\nRUN --network=host echo ran-on-host\n" };
    const refused = async () => {
      for (const files of [insecure, host])
        for (const { text, error } of [
          { text: said(await builds.buildkit(files)), error: "" },
          await builds.classic(files),
        ]) {
          expect(`${text}${error}`).toMatch(/is not allowed|not allowed/);
          expect(text).not.toContain("ran-");
        }
    };
    await refused();
    const allowed = await daemon.tug(
      ["build", "--allow", "network.host", "--allow", "security.insecure", builds.context(host)],
      { timeout: 60_000 },
    );
    expect(allowed.code, said(allowed)).toBe(0);
    await refused();
  },
);

attack("a step is confined as a container is", async () => {
  const probe = [
    "grep -E 'Seccomp:|CapEff|NoNewPrivs' /proc/self/status",
    "mount -t tmpfs none /mnt 2>/dev/null && echo bad-mount",
    "echo 1 >/proc/sys/kernel/panic && echo bad-sysctl",
    "head -c 1 /proc/kcore | grep -q . && echo bad-kcore",
    'test -n "$(ls -A /sys/firmware)" && echo bad-firmware',
    "test -e /dev/mem && echo bad-mem",
    "mknod /dev/sdx b 8 0 && head -c 1 /dev/sdx && echo bad-device",
    "unshare -U true 2>/dev/null && echo bad-userns",
    `test -e ${canary}`,
    `test -e ${daemon?.socket} && echo bad-socket`,
    "ls /proc | grep -c '^[0-9]'",
    "true",
  ];
  const check = (text: string) => {
    expect(text).toMatch(/Seccomp:\t2/);
    expect(text).toMatch(/CapEff:\t00000000a80425fb/);
    expect(text).not.toMatch(/^(?:#\d+ [\d.]+ )?bad-/m);
  };
  const files = {
    probe: `${probe.join("\n")}\n`,
    Dockerfile: "FROM busybox\nCOPY probe /probe\nRUN sh /probe 2>/dev/null\n",
  };
  const built = await builds.buildkit(files);
  expect(built.code, said(built)).toBe(0);
  check(said(built));
  check((await builds.classic(files, { nocache: "1" })).text);
});

attack(
  "a secret is its step's alone: not in history, records, events, logs, usage or another step",
  async () => {
    const value = `hush-${crypto.randomUUID()}`;
    const Dockerfile = `FROM busybox
RUN --mount=type=secret,id=key test "$(cat /run/secrets/key)" = "$(cat /run/secrets/key)" && wc -c </run/secrets/key
RUN ls -A /run/secrets 2>/dev/null; test ! -e /run/secrets/key && echo none-here
`;
    const { argv, env } = builds.command(builds.context({ Dockerfile }), [
      "--secret",
      "id=key,env=KEY",
      "-t",
      "hushed",
    ]);
    const since = Math.floor(Date.now() / 1000) - 1;
    const built = await run(argv, { env: { ...env, KEY: value }, timeout: 60_000 });
    // The client of Debian 12 knows no env=.
    const result =
      built.code === 0
        ? built
        : await builds.buildkit({ Dockerfile }, [
            "--secret",
            `id=key,src=${secretFile(value)}`,
            "-t",
            "hushed",
          ]);
    expect(result.code, said(result)).toBe(0);
    expect(said(result)).toContain("none-here");
    const seen = [
      said(result),
      await daemon.ok(["history", "--no-trunc", "hushed"]),
      await daemon.ok(["image", "inspect", "hushed"]),
      await daemon.ok(["events", "--since", String(since), "--until", String(Math.ceil(Date.now() / 1000))]),
      JSON.stringify((await daemon.api("GET", "/system/df?type=build-cache")).body),
      daemon.log,
    ];
    for (const text of seen) expect(text).not.toContain(value);
    expect(await filesWith(value)).toBe("");
  },
);

attack("a secret's value in a layer fails the build, and the layer is not kept", async () => {
  const value = `leak-${crypto.randomUUID()}`;
  const Dockerfile = "FROM busybox\nRUN --mount=type=secret,id=key cp /run/secrets/key /stolen\n";
  const result = await builds.buildkit({ Dockerfile }, [
    "--secret",
    `id=key,src=${secretFile(value)}`,
    "-t",
    "leaks",
  ]);
  expect(result.code).not.toBe(0);
  expect(said(result)).toMatch(/secret/i);
  expect((await daemon.tug(["image", "inspect", "leaks"])).code).not.toBe(0);
  expect(await filesWith(value)).toBe("");
});

attack("contexts of two clients that have the same names never mix", async () => {
  // Output of a step that is in the cache is not told again: each protocol has its own.
  const files = (name: string, protocol: string) => ({
    Dockerfile: `FROM busybox\nCOPY . /all\nRUN : ${protocol}; cat /all/name && ls /all\n`,
    name,
    [`only-${name}`]: "",
  });
  const names = ["first", "second", "third"];
  const built = await Promise.all(
    names.flatMap((name) => [
      builds.buildkit(files(name, "buildkit")).then(said),
      builds.classic(files(name, "classic")).then(({ text, error }) => text + error),
    ]),
  );
  for (const [index, text] of built.entries()) {
    const name = names[Math.floor(index / 2)] ?? "";
    expect(text).toContain(`only-${name}`);
    for (const other of names) if (other !== name) expect(text).not.toContain(`only-${other}`);
  }
});

function secretFile(value: string): string {
  const path = join(builds.root, `secret-${crypto.randomUUID()}`);
  writeFileSync(path, value);
  return path;
}

/** Files of the daemon's that have these bytes. */
async function filesWith(value: string): Promise<string> {
  const { stdout } = await run(["grep", "-rlF", "--", value, daemon.dataRoot, daemon.execRoot]);
  return stdout;
}
