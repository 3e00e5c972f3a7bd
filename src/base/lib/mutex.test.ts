import { expect, test } from "bun:test";
import { KeyedMutex, Mutex } from "./mutex.ts";

test("sections under one mutex never overlap, and a thrown section frees it", async () => {
  const mutex = new Mutex();
  let inside = 0;
  const section = async () => {
    expect(++inside).toBe(1);
    await Promise.resolve();
    inside--;
  };
  await expect(mutex.run(() => Promise.reject(new Error("boom")))).rejects.toThrow("boom");
  await Promise.all([mutex.run(section), mutex.run(section), mutex.run(section)]);
  expect(mutex.idle).toBe(true);
});

test("different keys run side by side, the same key one after another", async () => {
  const locks = new KeyedMutex();
  const order: string[] = [];
  let open: () => void = () => undefined;
  const gate = new Promise<void>((resolve) => {
    open = resolve;
  });
  const first = locks.run("a", async () => {
    await gate;
    order.push("a1");
  });
  const second = locks.run("a", async () => void order.push("a2"));
  await locks.run("b", async () => void order.push("b"));
  open();
  await Promise.all([first, second]);
  expect(order).toEqual(["b", "a1", "a2"]);
});
