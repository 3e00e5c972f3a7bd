import { describe, expect, test } from "bun:test";
import { systemClock } from "../../../../base/lib/clock.ts";
import { Uploads } from "./uploads.ts";

const never = new AbortController().signal;
const body = (text: string) => new Blob([text]).stream();

describe("a context that comes in a call of its own", () => {
  test("meets its build whichever comes first, and its call ends when it was read", async () => {
    for (const first of ["build", "upload"]) {
      const uploads = new Uploads({ clock: systemClock });
      const early = first === "build" ? uploads.take("id", never) : undefined;
      const offered = uploads.offer("id", body("a tar"), never);
      const taken = await (early ?? uploads.take("id", never));
      expect(await new Response(taken).text()).toBe("a tar");
      await offered;
    }
  });

  test("is one: a second is refused", async () => {
    const uploads = new Uploads({ clock: systemClock });
    const offered = uploads.offer("id", body("one"), never);
    await expect(uploads.offer("id", body("two"), never)).rejects.toThrow("has its context already");
    expect(await new Response(await uploads.take("id", never)).text()).toBe("one");
    await offered;
  });

  test("is waited for by a clock, and given up with the call", async () => {
    const clock = { ...systemClock, sleep: async () => undefined };
    await expect(new Uploads({ clock }).take("id", never)).rejects.toThrow(
      "no context was uploaded for build id",
    );
    const abort = new AbortController();
    const offered = new Uploads({ clock }).offer("id", body("x"), abort.signal);
    abort.abort(new Error("gone"));
    await expect(offered).rejects.toThrow("gone");
  });
});
