import { expect, test } from "bun:test";
import { codeOf, messageOf, TugError } from "../../base/lib/errors.ts";
import type { Digest } from "../../base/lib/ids.ts";
import type { Result } from "../result.ts";
import { type CacheImporter, type SolvedStep, StepFailure } from "../solve.ts";
import { bind, copy, git, Heard, image, local, own, run, SolverBench, session } from "./testdata/bench.ts";

test("a build runs once what it needs; the next one runs and pulls nothing", async () => {
  await using bench = await SolverBench.open();
  const base = image("base");
  const made = run("make", base);
  const top = copy(local(), "a", made);
  const unused = run("never", base);
  expect(unused.digest).not.toBe(made.digest);
  const first = await bench.solve([top]);
  expect(first.trees).toEqual([{ os: "base", make: "make", a: "1" }]);
  expect(bench.ran.toSorted()).toEqual(["copy a", "local s1", "make", "pull base"]);
  expect(first.heard.ends["make"]).toBe("done");
  bench.ran.length = 0;
  const again = await bench.solve([top]);
  expect(again.trees).toEqual(first.trees);
  expect(again.keys).toEqual(first.keys);
  expect(bench.ran).toEqual([]);
  expect(again.heard.ends).toMatchObject({ make: "cached", [top.name]: "cached", [base.name]: "cached" });
});

test("steps that do not depend on each other run side by side, those that do in their order", async () => {
  await using bench = await SolverBench.open();
  const both = Promise.withResolvers<void>();
  let begun = 0;
  for (const name of ["left", "right"])
    bench.commands.set(name, async ({ signal }, tree) => {
      if (++begun === 2) both.resolve();
      // Each waits for the other: one after the other they would never end.
      await both.promise;
      signal.throwIfAborted();
      await Bun.write(`${tree}/${name}`, name);
    });
  const base = image("base");
  const [left, right] = [run("left", base), run("right", base)];
  const top = copy(right, "right", copy(left, "left", run("root", base)));
  const { trees } = await bench.solve([top]);
  expect(trees[0]).toEqual({ os: "base", root: "root", left: "left", right: "right" });
  expect(bench.ran.indexOf("copy left")).toBeGreaterThan(bench.ran.indexOf("left"));
}, 60_000);

test("no more steps run at once than there are places", async () => {
  await using bench = await SolverBench.open({ parallel: 2 });
  let running = 0;
  let most = 0;
  const names = ["one", "two", "three", "four", "five"];
  const together = Promise.withResolvers<void>();
  for (const name of names)
    bench.commands.set(name, async () => {
      most = Math.max(most, ++running);
      if (most === 2) together.resolve();
      await together.promise;
      await new Promise((resolve) => setImmediate(resolve));
      running--;
    });
  await bench.solve(names.map((name) => run(name)));
  expect(bench.ran.toSorted()).toEqual(names.toSorted());
  expect(most).toBe(2);
});

test("a step that two builds need at once runs once; who comes late hears what it said before", async () => {
  await using bench = await SolverBench.open();
  const said = Promise.withResolvers<void>();
  const go = Promise.withResolvers<void>();
  bench.commands.set("slow", async ({ progress }, tree) => {
    progress.log("stdout", Buffer.from("begun "));
    progress.part("layer", { current: 3, total: 9 });
    said.resolve();
    await go.promise;
    progress.log("stdout", Buffer.from("done"));
    await Bun.write(`${tree}/slow`, "slow");
  });
  const first = bench.solve([run("slow", image("base"))]);
  await said.promise;
  const heard = new Heard();
  const other = run("left", run("slow", image("base")));
  const second = bench.solve([other], { progress: heard });
  expect(heard.text).toBe("begun ");
  expect(heard.statuses.map(({ id, current }) => [id, current])).toEqual([["layer", 3]]);
  go.resolve();
  const [one, two] = await Promise.all([first, second]);
  expect(bench.ran.filter((name) => name === "slow").length).toBe(1);
  expect(one.heard.text).toBe("begun done");
  expect(heard.text).toBe("begun done");
  expect(two.trees[0]).toEqual({ os: "base", slow: "slow", left: "left" });
});

test("a build that has failed is told of no more results, and so holds none: another build goes on with them", async () => {
  await using bench = await SolverBench.open();
  const [begun, go] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  bench.commands.set("slow", async () => {
    begun.resolve();
    await go.promise;
  });
  bench.commands.set("failing", async () => {
    await begun.promise;
    throw new Error("failed");
  });
  const told: Result[] = [];
  const other = bench.solve([run("slow")]);
  const failing = bench.solve([run("slow"), run("failing")], {
    onResult: (_index, result) => told.push(result),
  });
  await expect(failing).rejects.toThrow("failed");
  go.resolve();
  await other;
  expect(told).toEqual([]);
  expect(bench.records.all().map(({ id }) => bench.records.inUse(id))).toEqual([false]);
  expect(bench.steps.busy).toBe(false);
});

test("a shared step ends only when the last of its builds lets go, and then at once", async () => {
  await using bench = await SolverBench.open();
  const [begun, ended] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  let aborted = false;
  bench.commands.set("slow", async ({ signal }) => {
    begun.resolve();
    await new Promise<void>((resolve) => signal.addEventListener("abort", () => resolve(), { once: true }));
    aborted = true;
    ended.resolve();
    signal.throwIfAborted();
  });
  const builds = [new AbortController(), new AbortController()] as const;
  const top = run("after", run("slow"));
  const [one, two] = builds.map(({ signal }) =>
    bench.solve([top], { signal }).catch((error: unknown) => error),
  );
  await begun.promise;
  builds[0].abort(new Error("first gone"));
  expect(await one).toEqual(new Error("first gone"));
  expect(aborted).toBe(false);
  builds[1].abort(new Error("second gone"));
  expect(await two).toEqual(new Error("second gone"));
  await ended.promise;
  expect(bench.ran).toEqual(["slow"]);
  expect(bench.names).toEqual([]);
  expect(bench.records.all()).toEqual([]);
  // The next build begins anew.
  bench.commands.delete("slow");
  expect((await bench.solve([top])).trees).toEqual([{ slow: "slow", after: "after" }]);
});

test("a build that is given up does not wait for a step that another one goes on with", async () => {
  await using bench = await SolverBench.open();
  const begun = Promise.withResolvers<void>();
  const go = Promise.withResolvers<void>();
  bench.commands.set("shared", async () => {
    begun.resolve();
    await go.promise;
  });
  const goes = bench.solve([run("shared")]);
  await begun.promise;
  const gone = new AbortController();
  const given = bench.solve([run("mine", run("shared"))], { signal: gone.signal }).catch(String);
  gone.abort("enough");
  expect(await given).toBe("enough");
  go.resolve();
  await goes;
  expect(bench.ran).toEqual(["shared"]);
});

test("a failure ends the others at once; the first one is told, with its step", async () => {
  await using bench = await SolverBench.open();
  const begun = Promise.withResolvers<void>();
  bench.commands.set("waits", async ({ signal }) => {
    begun.resolve();
    await new Promise<void>((resolve) => signal.addEventListener("abort", () => resolve(), { once: true }));
    throw new Error("a consequence");
  });
  bench.commands.set("fails", async () => {
    await begun.promise;
    throw new TugError("runtime-command", "exit code: 1", { detail: { exitCode: 1 } });
  });
  const heard = new Heard();
  const [fails, waits] = [run("fails"), run("waits")];
  // The copy of the failed one waits for the other first.
  const top = copy(fails, "x", copy(waits, "y", run("root")));
  const error = await bench.solve([top], { progress: heard }).catch((error: unknown) => error);
  expect(error).toBeInstanceOf(StepFailure);
  expect([codeOf(error), error instanceof StepFailure && error.message]).toEqual([
    "runtime-command",
    "exit code: 1",
  ]);
  expect(error instanceof StepFailure && [error.vertex.name, error.detail.exitCode]).toEqual(["fails", 1]);
  expect(heard.ends).toMatchObject({
    fails: "exit code: 1",
    waits: "context canceled",
    [top.name]: "waiting",
  });
  expect(bench.names.length).toBe(bench.records.all().length);
});

test("copies go by content: a new file beside it, or another time, changes nothing", async () => {
  await using bench = await SolverBench.open();
  const top = () => run("after", copy(local(), "a", image("base")));
  const first = await bench.solve([top()]);
  bench.ran.length = 0;
  bench.context = { a: "1", b: "new" };
  const second = await bench.solve([top()]);
  expect(bench.ran).toEqual(["local s1"]);
  expect(second.trees).toEqual(first.trees);
  expect(second.heard.ends["after"]).toBe("cached");
  bench.ran.length = 0;
  // From now on this context, too, is known at once.
  await bench.solve([top()]);
  expect(bench.ran).toEqual([]);
  bench.context = { a: "2" };
  expect((await bench.solve([top()])).trees[0]).toEqual({ os: "base", a: "2", after: "after" });
  expect(bench.ran).toEqual(["local s1", "copy a", "after"]);
});

test("a step with a bind mount goes by the content of what is mounted", async () => {
  await using bench = await SolverBench.open();
  const mounted = () => run("reads", undefined, { inputs: [local()], op: { mounts: [bind(0, "a")] } });
  await bench.solve([mounted()]);
  bench.context = { a: "1", b: "beside" };
  await bench.solve([mounted()]);
  expect(bench.ran).toEqual(["local s1", "reads", "local s1"]);
  bench.context = { a: "other" };
  await bench.solve([mounted()]);
  expect(bench.ran.at(-1)).toBe("reads");
});

test("what is made anew and comes out the same leaves the steps that copy from it as they are", async () => {
  await using bench = await SolverBench.open();
  let runs = 0;
  bench.commands.set("builds", (_, tree) => {
    runs++;
    return Bun.write(`${tree}/bin`, "same").then(() => undefined);
  });
  const top = (ignoreCache: boolean) =>
    run("after", copy(run("builds", image("base"), { ignoreCache }), "bin", image("small")));
  await bench.solve([top(false)]);
  bench.ran.length = 0;
  const before = bench.names;
  const again = await bench.solve([top(true)]);
  // Copied to find out, and thrown away.
  expect([runs, bench.ran]).toEqual([2, ["builds", "copy bin"]]);
  const copies = Object.entries(again.heard.ends).filter(([name]) => name.startsWith("file "));
  expect([copies.map(([, end]) => end), again.heard.ends["after"]]).toEqual([["cached"], "cached"]);
  expect(bench.names).toHaveLength(before.length + 1);
});

test("without cache it runs, and what reads it is not found by what it was before", async () => {
  await using bench = await SolverBench.open();
  let version = 0;
  bench.commands.set("dates", (_, tree) =>
    Bun.write(`${tree}/date`, String(++version)).then(() => undefined),
  );
  const top = (ignoreCache: boolean) => run("after", run("dates", undefined, { ignoreCache }));
  expect((await bench.solve([top(false)])).trees[0]).toEqual({ date: "1", after: "after" });
  expect((await bench.solve([top(true)])).trees[0]).toEqual({ date: "2", after: "after" });
  expect((await bench.solve([top(false)])).trees[0]).toEqual({ date: "2", after: "after" });
  expect(bench.ran).toEqual(["dates", "after", "dates", "after"]);
});

test("a result that was pruned and comes out otherwise is not taken for the old one", async () => {
  await using bench = await SolverBench.open();
  let version = 0;
  bench.commands.set("dates", (_, tree) =>
    Bun.write(`${tree}/date`, String(++version)).then(() => undefined),
  );
  const top = run("after", copy(run("dates"), "date", image("base")));
  await bench.solve([top]);
  for (const { id, type } of bench.records.all().toReversed()) {
    expect(type).toBe("regular");
    await bench.cache.drop(id);
  }
  const second = await bench.solve([top]);
  expect(second.trees[0]).toEqual({ os: "base", date: "2", after: "after" });
  // A source that gives the old content again must not lead to what was made from the new one.
  bench.context = { date: "1" };
  const third = await bench.solve([run("after", copy(local(), "date", image("base")))]);
  expect(third.trees[0]).toEqual({ os: "base", date: "1", after: "after" });
});

test("keys hold the whole step and the real chain below it, but no secret, name or bound", async () => {
  await using bench = await SolverBench.open();
  const keyOf = async (vertex: ReturnType<typeof run>) => (await bench.solve([vertex])).keys[0];
  const base = image("base");
  const plain = await keyOf(run("x", base));
  const same = [
    run("x", base, { name: "another name" }),
    run("x", base, { op: { proxyEnv: ["http_proxy=http://p"], resources: { Memory: 1 } } }),
  ];
  for (const vertex of same) expect(await keyOf(vertex)).toBe(plain);
  const secret = (more: object) =>
    run("x", base, {
      op: {
        mounts: [
          {
            ...{ kind: "secret", target: "/run/secrets/s", env: undefined, id: "s", required: true },
            ...{ mode: 0o400, uid: 0, gid: 0, ...more },
          },
        ],
      },
    });
  const withSecret = await keyOf(secret({}));
  const others = [
    run("x", image("other")),
    run("x", run("y", base)),
    run("x", base, { op: { env: ["A=b"] } }),
    run("x", base, { op: { user: "1" } }),
    run("x", base, { op: { network: "none" } }),
    secret({ mode: 0o444 }),
    secret({ target: "/other" }),
  ];
  const keys = new Set([plain, withSecret]);
  for (const vertex of others) keys.add(await keyOf(vertex));
  expect(keys.size).toBe(others.length + 2);
  bench.ran.length = 0;
  await bench.solve([secret({})], { session: session("s2", { s: "another value" }) });
  expect(bench.ran).toEqual([]);
});

test("a step of several builds asks whichever client is there for secrets", async () => {
  await using bench = await SolverBench.open();
  const begun = Promise.withResolvers<void>();
  const go = Promise.withResolvers<void>();
  let got = "";
  bench.commands.set("asks", async (step) => {
    begun.resolve();
    await go.promise;
    got = Buffer.from((await step.session.secret("s")) ?? []).toString();
  });
  const first = new AbortController();
  const one = bench.solve([run("asks")], { session: session("s1"), signal: first.signal }).catch(String);
  await begun.promise;
  const two = bench.solve([run("asks")], { session: session("s2", { s: "value" }) });
  first.abort("gone");
  expect(await one).toBe("gone");
  go.resolve();
  await two;
  expect(got).toBe("value");
});

test("an imported result is fetched only when a step reads it, and made when it cannot be fetched", async () => {
  await using there = await SolverBench.open();
  const middle = run("middle", image("base"));
  const top = run("top", middle);
  await there.solve([top]);
  await using here = await SolverBench.open();
  const fetched: string[] = [];
  let broken = false;
  const importer: CacheImporter = {
    find: async (key) => {
      const result = there.records.link(key);
      const record = result && there.records.find(result);
      if (!record || result === undefined) return undefined;
      const snapshot = async () => {
        fetched.push(record.description);
        if (broken) throw new Error("the registry is gone");
        return await here.steps.make(undefined, ({ layout }) =>
          Bun.write(`${own(layout)}/from`, record.description).then(() => undefined),
        );
      };
      return { key: result, snapshot };
    },
  };
  const imported = await here.solve([top], { importers: [importer] });
  expect([fetched, here.ran]).toEqual([["top"], []]);
  expect(imported.heard.ends).toMatchObject({ middle: "cached", top: "cached" });
  // A step above needs only what it stands on.
  await here.solve([run("else", middle)], { importers: [importer] });
  expect([fetched, here.ran]).toEqual([["top", "middle"], ["else"]]);
  await using elsewhere = await SolverBench.open();
  broken = true;
  const made = await elsewhere.solve([top], { importers: [importer] });
  expect(made.trees[0]).toEqual({ os: "base", middle: "middle", top: "top" });
  // Without being asked for, nothing of elsewhere counts.
  await using alone = await SolverBench.open();
  await alone.solve([top]);
  expect(alone.ran).toEqual(["pull base", "middle", "top"]);
});

test("sources that keep their trees as records bring them once", async () => {
  await using bench = await SolverBench.open();
  const source = git("https://host/repo.git");
  await bench.solve([copy(source, "readme")]);
  await bench.solve([run("other", source)]);
  expect(bench.ran).toEqual(["git https://host/repo.git", "copy readme", "other"]);
  expect(bench.records.all().map(({ type }) => type)).toContain("source.git.checkout");
});

test("a graph of ten thousand steps is solved", async () => {
  await using bench = await SolverBench.open();
  bench.commands.set("step", () => undefined);
  let top = run("step");
  for (let i = 0; i < 10_000; i++) top = run("step", top, { digest: `sha256:${i}` as Digest });
  const gone = new AbortController();
  bench.commands.set("step", () => gone.abort("deep enough"));
  expect(await bench.solve([top], { signal: gone.signal }).catch(String)).toBe("deep enough");
}, 60_000);

test("a step that needs more than the build may is refused, also when its result is known", async () => {
  await using bench = await SolverBench.open();
  const top = run("after", run("opens", undefined, { op: { network: "host" } }));
  await bench.solve([top], { entitlements: ["network.host"] });
  const error = await bench.solve([top]).catch((error: unknown) => error);
  expect(error instanceof StepFailure && [error.code, error.message, error.vertex.name]).toEqual([
    "forbidden",
    "network.host is not allowed",
    "opens",
  ]);
  expect(bench.ran).toEqual(["opens", "after"]);
});

test("a context's tree is given back when nobody holds a result with it", async () => {
  await using bench = await SolverBench.open();
  const { signal } = new AbortController();
  const options = { session: session("s1"), signal, progress: new Heard() };
  const results = await bench.solver.solve([local(), copy(local(), "a")], options);
  expect(bench.released).toEqual([]);
  for (const result of results) {
    result[Symbol.dispose]();
    result[Symbol.dispose]();
  }
  expect(bench.released.length).toBe(1);
});

test("who wants several results hears of each as soon as it is there, also when another one fails", async () => {
  await using bench = await SolverBench.open();
  const heard: string[] = [];
  const first = Promise.withResolvers<void>();
  bench.commands.set("fails", async () => {
    await first.promise;
    throw new Error("no");
  });
  const onResult = (index: number, result: Result) => {
    heard.push(`${index}: ${Object.keys(bench.files(result.snapshot)).join()}`);
    result[Symbol.dispose]();
    first.resolve();
  };
  const error = await bench.solve([run("fails"), run("quick")], { onResult }).catch(messageOf);
  expect([error, heard]).toEqual(["no", ["1: quick"]]);
});

test("what an export of the cache needs is told of every vertex: the keys under which another solver asks", async () => {
  await using bench = await SolverBench.open();
  const top = run("after", copy(local(), "a", run("root", image("base"))));
  const seen: (readonly SolvedStep[])[] = [];
  const onSolved = (steps: readonly SolvedStep[]) => void seen.push(steps);
  await bench.solve([top], { onSolved });
  await bench.solve([top], { onSolved });
  const [first, cached] = seen;
  expect(cached).toEqual(first);
  expect(first?.map(({ vertex, keys }) => `${vertex.op.kind} ${keys.length}`)).toEqual([
    ...["local 0", "image 0", "exec 1", "file 2", "exec 1"],
  ]);
  const asked: string[] = [];
  await using other = await SolverBench.open();
  const find: CacheImporter["find"] = async (key) => {
    asked.push(key);
    return undefined;
  };
  await other.solve([top], { importers: [{ find }] });
  expect(asked.toSorted()).toEqual((first?.flatMap(({ keys }) => keys) ?? []).toSorted());
});

test("a copy that was pruned and made again goes by its content as before", async () => {
  await using bench = await SolverBench.open();
  const top = () => copy(local(), "a", image("base"));
  await bench.solve([top()]);
  for (const { id } of bench.records.all().toReversed()) await bench.cache.drop(id);
  await bench.solve([top()]);
  bench.ran.length = 0;
  bench.context = { a: "1", b: "beside" };
  await bench.solve([top()]);
  expect(bench.ran).toEqual(["local s1"]);
});
