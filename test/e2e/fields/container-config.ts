import { expect } from "bun:test";
import type { ContainerConfig, HealthConfig } from "../../../src/base/spec/docker/api.gen.ts";
import { eventually } from "../../harness/daemon.ts";
import type { Field } from "./field.ts";

const streams = "test/e2e/streams.test.ts";
const health = "test/e2e/health.test.ts";
const judge = "src/engine/health/judge.test.ts";
const second = 1e9;

/** Every member of the container's own configuration. */
export const containerConfig: { readonly [member in keyof Required<ContainerConfig>]: Field } = {
  Hostname: { value: "boxname", script: "hostname", prints: /^boxname$/ },
  Domainname: { value: "example.org", script: "cat /proc/sys/kernel/domainname", prints: /^example\.org$/ },
  User: { value: "5:6", script: "id -u; id -g", prints: /^5\n6$/ },
  AttachStdin: { value: true, kept: "the client attaches, by a request of its own" },
  AttachStdout: { value: true, kept: "the client attaches, by a request of its own" },
  AttachStderr: { value: true, kept: "the client attaches, by a request of its own" },
  ExposedPorts: {
    value: { "82/tcp": {} },
    host: { NetworkMode: "bridge" },
    look: async ({ inspect }) => expect((await inspect()).NetworkSettings.Ports).toHaveProperty("82/tcp"),
  },
  Tty: { value: true, script: "tty", prints: /^\/dev\/pts\/0/ },
  OpenStdin: { value: true, proven: [streams, '"-i"'] },
  StdinOnce: { value: true, proven: ["test/e2e/run.test.ts", '"-i"'] },
  Env: {
    value: ["WORD=said"],
    shown: ["WORD=said", "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"],
    script: "echo $WORD",
    prints: /^said$/,
  },
  Cmd: { value: ["sh", "-c", "sleep 1000"], proven: [streams, '"sh", "-c"'] },
  Healthcheck: {
    value: { Test: ["CMD", "true"], Interval: 100 * second },
    look: async ({ inspect }) => expect((await inspect()).State).toHaveProperty("Health"),
  },
  ArgsEscaped: { value: true, kept: "only Windows has one string of arguments" },
  Image: { value: "busybox", script: "true", proven: ["test/e2e/run.test.ts", "busybox"] },
  Volumes: { value: { "/vv": {} }, script: "grep -c ' /vv ' /proc/mounts", prints: /^1$/ },
  WorkingDir: { value: "/made/here", script: "pwd", prints: /^\/made\/here$/ },
  Entrypoint: { value: ["echo", "entered"], config: { Cmd: ["word"] }, script: "", prints: /^entered word$/ },
  NetworkDisabled: {
    value: true,
    host: { NetworkMode: "bridge" },
    script: "ls /sys/class/net",
    prints: /^lo$/,
  },
  OnBuild: { value: ["RUN true"], kept: "builds from an image committed of it have it" },
  Labels: {
    value: { kind: "field" },
    look: async ({ daemon }) =>
      expect(await daemon.ok(["ps", "--format", "{{.Names}}", "-f", "label=kind=field"])).toBe("field"),
  },
  StopSignal: {
    value: "USR1",
    config: { Cmd: ["sh", "-c", "trap 'exit 44' USR1; echo ready; while :; do sleep 0.01; done"] },
    look: async ({ daemon, id }) => {
      await eventually("its trap is set", async () => (await daemon.ok(["logs", id])) === "ready");
      await daemon.ok(["stop", "-t", "60", id], { timeout: 90_000 });
      expect(await daemon.ok(["inspect", "-f", "{{.State.ExitCode}}", id])).toBe("44");
    },
  },
  StopTimeout: {
    value: 0,
    config: { Cmd: ["sh", "-c", "trap '' TERM; while :; do sleep 0.01; done"] },
    look: async ({ daemon, id }) => {
      const since = String(Date.now() / 1000 - 1);
      await daemon.ok(["stop", id]);
      expect(await daemon.ok(["inspect", "-f", "{{.State.ExitCode}}", id])).toBe("137");
      const until = String(Date.now() / 1000);
      const filters = ["--filter", `container=${id}`, "--filter", "event=kill"];
      const events = await daemon.ok([
        "events",
        "--since",
        since,
        "--until",
        until,
        ...filters,
        "--format",
        "json",
      ]);
      const times = events.split("\n").map((line) => (JSON.parse(line) as { timeNano: number }).timeNano);
      expect(times).toHaveLength(2);
      // Not after the ten seconds of who says nothing.
      expect(((times[1] ?? 0) - (times[0] ?? 0)) / second).toBeLessThan(9);
    },
  },
  Shell: { value: ["/bin/ash", "-ec"], proven: [judge, 'Shell: ["/bin/ash", "-ec"]'] },
};

/** Every member of a health check. */
export const healthConfig: { readonly [member in keyof Required<HealthConfig>]: Field } = {
  Test: { value: ["CMD-SHELL", "true"], proven: [health, "--health-cmd"] },
  Interval: { value: second, proven: [health, "--health-interval"] },
  Timeout: { value: second, proven: [health, "--health-timeout"] },
  Retries: { value: 5, proven: [health, "--health-retries"] },
  StartPeriod: { value: second, proven: [health, "--health-start-period"] },
  StartInterval: { value: second, proven: [judge, "start interval"] },
};
