import { expect, test } from "bun:test";
import { abortable } from "./abort.ts";

test("a promise that settles first wins", async () => {
  expect(await abortable(Promise.resolve(1), new AbortController().signal)).toBe(1);
  expect(await abortable(Promise.resolve(2), undefined)).toBe(2);
  await expect(abortable(Promise.reject(new Error("x")), new AbortController().signal)).rejects.toThrow("x");
});

test("the signal ends the wait, and the late value is handed over", async () => {
  const { promise, resolve } = Promise.withResolvers<string>();
  const late = Promise.withResolvers<string>();
  const controller = new AbortController();
  const waiting = abortable(promise, controller.signal, late.resolve);
  controller.abort(new Error("gone"));
  await expect(waiting).rejects.toThrow("gone");
  resolve("value");
  expect(await late.promise).toBe("value");
});

test("an aborted signal refuses at once", async () => {
  await expect(abortable(new Promise(() => undefined), AbortSignal.abort(new Error("no")))).rejects.toThrow(
    "no",
  );
});
