import { expect, test } from "bun:test";
import { mergeImageConfig } from "./merge.ts";

const image = {
  Cmd: ["serve"],
  Entrypoint: ["/entry"],
  Env: ["PATH=/bin", "A=image"],
  Labels: { from: "image", both: "image" },
  WorkingDir: "/srv",
  User: "web",
  ExposedPorts: { "80/tcp": {} },
  Volumes: { "/data": {} },
  StopSignal: "SIGINT",
};

test("what the request leaves out comes from the image", () => {
  expect(mergeImageConfig({ Image: "x" }, image)).toMatchObject({
    Cmd: ["serve"],
    Entrypoint: ["/entry"],
    User: "web",
    WorkingDir: "/srv",
    StopSignal: "SIGINT",
    ExposedPorts: { "80/tcp": {} },
    Volumes: { "/data": {} },
  });
});

test("a command replaces the image's command and keeps its entrypoint", () => {
  expect(mergeImageConfig({ Cmd: ["sh"] }, image)).toMatchObject({ Cmd: ["sh"], Entrypoint: ["/entry"] });
});

test("an entrypoint drops the image's command, and an empty one drops both", () => {
  const own = mergeImageConfig({ Entrypoint: ["/own"] }, image);
  expect([own.Entrypoint, own.Cmd]).toEqual([["/own"], undefined]);
  const none = mergeImageConfig({ Entrypoint: [""], Cmd: ["sh"] }, image);
  expect([none.Entrypoint, none.Cmd]).toEqual([undefined, ["sh"]]);
});

test("variables and labels are merged by name, the request's win", () => {
  const merged = mergeImageConfig({ Env: ["A=own", "B"], Labels: { both: "own" } }, image);
  expect(merged.Env).toEqual(["A=own", "B", "PATH=/bin"]);
  expect(merged.Labels).toEqual({ from: "image", both: "own" });
});

test("a health check's durations can be changed without repeating its command", () => {
  const healthy = { ...image, Healthcheck: { Test: ["CMD", "probe"], Interval: 5_000_000_000, Retries: 2 } };
  expect(mergeImageConfig({ Healthcheck: { Retries: 9 } }, healthy).Healthcheck).toEqual({
    Test: ["CMD", "probe"],
    Interval: 5_000_000_000,
    Retries: 9,
  });
  expect(mergeImageConfig({ Healthcheck: { Test: ["NONE"] } }, healthy).Healthcheck?.Test).toEqual(["NONE"]);
});
