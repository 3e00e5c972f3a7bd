import { afterAll, afterEach, beforeAll, expect, test } from "bun:test";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { TestDaemon } from "../harness/daemon.ts";

/** CVE-2026-53488: a LABEL is text of the image's author for people and filters; nothing of the engine is steered by it. */
let daemon: TestDaemon;
beforeAll(async () => {
  daemon = await TestDaemon.start();
}, 120_000);
afterEach(() => daemon.assertClean());
afterAll(() => daemon.close());

const hostile: Readonly<Record<string, string>> = {
  image: "innocent",
  name: "somebody-else",
  container: "0000",
  exitCode: "0",
  signal: "0",
  execID: "none",
  "containerd.io/restart.loguri": "binary:///bin/touch?id=/tmp/tug-label-ran",
  "containerd.io/restart.status": "running",
  "run.oci.handler": "krun",
  "run.oci.hooks.stdout": "/tmp/tug-label-ran",
  "run.oci.seccomp_bpf_data": "",
  "run.oci.keep_original_groups": "1",
  "run.oci.systemd.force_cgroup_v1": "/tmp/tug-label-ran",
  "io.podman.annotations.privileged": "TRUE",
  "io.podman.annotations.autoremove": "TRUE",
  "io.tug.privileged": "true",
  "io.tug.restart": "always",
  "com.docker.compose.project": "other",
  "com.docker.network.bridge.name": "eth0",
  "org.opencontainers.image.ref.name": "busybox:latest",
  "org.systemd.property.Delegate": "true",
  __proto__x: "{}",
  constructor: "x",
  toString: "x",
};

test("labels of an image reach neither the runtime's configuration nor the facts of events, and filters take them as text", async () => {
  const changes = Object.entries(hostile).map(([key, value]) => `LABEL ${key}=${JSON.stringify(value)}`);
  await daemon.ok(["create", "--name", "seed", "busybox"]);
  await daemon.ok(["commit", ...changes.flatMap((change) => ["-c", change]), "seed", "labelled"]);
  const since = String(Date.now() / 1000);
  const id = await daemon.ok(["run", "-d", "--name", "real", "labelled", "sleep", "1000"]);
  const spec = readFileSync(join(daemon.execRoot, "containers", id, "config.json"), "utf8");
  const { annotations = {} } = JSON.parse(spec) as { annotations?: Record<string, string> };
  for (const key of Object.keys(hostile)) {
    // The filter that the daemon itself hands over has one of the names.
    if (annotations[key] !== undefined) expect(annotations[key]).not.toBe(hostile[key] ?? "");
  }
  expect(JSON.parse(await daemon.ok(["inspect", "-f", "{{json .Config.Labels}}", "real"]))).toEqual(hostile);
  const shown = JSON.parse(await daemon.ok(["inspect", "real"]))[0];
  expect(shown.HostConfig).toMatchObject({
    Privileged: false,
    AutoRemove: false,
    RestartPolicy: { Name: "no" },
  });
  expect(await daemon.ok(["exec", "real", "grep", "-c", "Seccomp:.2", "/proc/self/status"])).toBe("1");
  await daemon.tug(["exec", "real", "false"]);
  await daemon.ok(["kill", "-s", "KILL", "real"]);
  expect(await daemon.ok(["wait", "real"])).toBe("137");
  expect(await daemon.ok(["ps", "-aq", "--filter", "label=container=0000", "--no-trunc"])).toBe(id);
  expect(await daemon.ok(["ps", "-aq", "--filter", "label=hasOwnProperty"])).toBe("");
  const until = String(Date.now() / 1000 + 1);
  const events = (await daemon.ok(["events", "--since", since, "--until", until, "--format", "{{json .}}"]))
    .split("\n")
    .map(
      (line) =>
        JSON.parse(line) as {
          Action: string;
          Type: string;
          Actor: { ID: string; Attributes: Record<string, string> };
        },
    )
    .filter((event) => event.Type === "container" && event.Actor.ID === id);
  for (const { Actor } of events) expect(Actor.Attributes).toMatchObject({ image: "labelled", name: "real" });
  const attribute = (action: string, key: string) =>
    events.findLast((event) => event.Action === action)?.Actor.Attributes[key];
  expect(attribute("die", "exitCode")).toBe("137");
  expect(attribute("exec_die", "exitCode")).toBe("1");
  expect(attribute("exec_die", "execID")).not.toBe("none");
  expect(attribute("kill", "signal")).toBe("9");
  expect(existsSync("/tmp/tug-label-ran")).toBe(false);
  await daemon.assertClean();
  await daemon.ok(["rmi", "labelled"]);
});
