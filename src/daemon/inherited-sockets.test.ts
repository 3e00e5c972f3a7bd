import { expect, test } from "bun:test";
import { inheritedSockets } from "./inherited-sockets.ts";

const env = { LISTEN_PID: "7", LISTEN_FDS: "2", LISTEN_FDNAMES: "api:metrics" };

test("fd:// takes all sockets, one by number, or those of a name", () => {
  expect(inheritedSockets("", env, 7)).toEqual([
    { fd: 3, name: "api" },
    { fd: 4, name: "metrics" },
  ]);
  expect(inheritedSockets("4", env, 7)).toEqual([{ fd: 4, name: "metrics" }]);
  expect(inheritedSockets("api", env, 7)).toEqual([{ fd: 3, name: "api" }]);
});

test("sockets meant for another process, or none, are an error that says so", () => {
  expect(() => inheritedSockets("", env, 8)).toThrow("no sockets found via socket activation");
  expect(() => inheritedSockets("", {}, 7)).toThrow("no sockets found via socket activation");
  expect(() => inheritedSockets("9", env, 7)).toThrow("invalid sockets found via socket activation: 9");
});
