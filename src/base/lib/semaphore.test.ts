import { expect, test } from "bun:test";
import { Semaphore } from "./semaphore.ts";

test("no more sections than the limit run at once, and they come in order", async () => {
  const semaphore = new Semaphore(2);
  const first = await semaphore.acquire();
  const second = await semaphore.acquire();
  expect(semaphore.available).toBe(false);
  const order: number[] = [];
  const third = semaphore.acquire().then((permit) => {
    order.push(3);
    return permit;
  });
  const fourth = semaphore.acquire().then((permit) => {
    order.push(4);
    return permit;
  });
  first[Symbol.dispose]();
  first[Symbol.dispose]();
  await third;
  expect(order).toEqual([3]);
  second[Symbol.dispose]();
  (await third)[Symbol.dispose]();
  (await fourth)[Symbol.dispose]();
  expect(order).toEqual([3, 4]);
  expect(semaphore.available).toBe(true);
});

test("who gives up waiting does not keep the permit", async () => {
  const semaphore = new Semaphore(1);
  const held = await semaphore.acquire();
  const controller = new AbortController();
  const waiting = semaphore.acquire(controller.signal);
  controller.abort(new Error("gone"));
  await expect(waiting).rejects.toThrow("gone");
  held[Symbol.dispose]();
  using again = await semaphore.acquire();
  expect(again).toBeDefined();
});
