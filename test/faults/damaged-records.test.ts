import { Database } from "bun:sqlite";
import { afterAll, beforeAll, expect, test } from "bun:test";
import { copyFileSync, existsSync, rmSync, statSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { eventually, run, TestDaemon, tugBinary } from "../harness/daemon.ts";

let daemon: TestDaemon;
beforeAll(async () => {
  daemon = await TestDaemon.start();
}, 120_000);
afterAll(() => daemon.close(), 120_000);

/** Answers "here" to each request. */
const serve = "printf here > /index.html; exec httpd -f -h /";

/** Changes a database while no daemon has it open. */
function edit(file: "state.db" | "store.db", ...statements: readonly string[]): void {
  using database = new Database(join(daemon.dataRoot, file));
  for (const statement of statements) database.run(statement);
}

/** What one value was, and the statement that puts it back. */
function keep(file: "state.db" | "store.db", table: string, column: string, where: string): () => void {
  using database = new Database(join(daemon.dataRoot, file));
  const row = database
    .query<Record<string, string>, []>(`SELECT ${column} FROM ${table} WHERE ${where}`)
    .get();
  const before = row?.[column] ?? "";
  expect(before).not.toBe("");
  return () => {
    using again = new Database(join(daemon.dataRoot, file));
    again.query(`UPDATE ${table} SET ${column} = ? WHERE ${where}`).run(before);
  };
}

test("a container whose record is damaged keeps what it has, the daemon serves the rest, and a repaired row brings it back running", async () => {
  await daemon.ok(["network", "create", "own"]);
  const id = await daemon.ok([
    "run",
    "-d",
    "--name",
    "hurt",
    "--network",
    "own",
    "-v",
    "kept:/kept",
    "busybox",
    "sh",
    "-c",
    "echo inside > /written; echo volume > /kept/file; echo ready; exec sleep 1000",
  ]);
  await eventually("it wrote", async () => (await daemon.ok(["logs", "hurt"])) === "ready");
  await daemon.ok(["run", "-d", "--name", "well", "--network", "own", "busybox", "sleep", "1000"]);
  await daemon.stop();
  const putBack = keep("state.db", "container", "definition", `id = '${id}'`);
  edit("state.db", `UPDATE container SET definition = substr(definition, 1, 100) WHERE id = '${id}'`);
  await daemon.up();
  expect(await daemon.ok(["ps", "-a", "--format", "{{.Names}}"])).toBe("well");
  const about = (each: string) => each.includes("a record cannot be read") && each.includes(id);
  const line = () => daemon.log.split("\n").find(about);
  await eventually("the log tells", () => line() !== undefined);
  const logged = line();
  expect(logged).toContain(join(daemon.dataRoot, "state.db"));
  expect(logged).toContain("UPDATE");
  expect(logged).toContain("DELETE FROM container");
  const check = await daemon.tug(["system", "check", "--quick"]);
  expect(check.code).toBe(1);
  expect(check.stdout + check.stderr).toContain(`container ${id}`);
  expect((await daemon.tug(["create", "--name", "hurt", "busybox"])).stderr).toContain("already in use");
  const volumeRemoved = await daemon.tug(["volume", "rm", "kept"]);
  expect(volumeRemoved.stderr).toContain("volume is in use");
  await daemon.ok(["system", "prune", "-f", "--volumes", "--all"]);
  await daemon.stop();
  putBack();
  await daemon.up();
  // It went on meanwhile, its name is known to the others, and it can be stopped and started.
  expect(await daemon.ok(["exec", "hurt", "cat", "/written", "/kept/file"])).toBe("inside\nvolume");
  await daemon.ok(["exec", "well", "ping", "-c", "1", "-W", "5", "hurt"]);
  await daemon.ok(["restart", "-t", "0", "hurt"]);
  await daemon.ok(["exec", "well", "ping", "-c", "1", "-W", "5", "hurt"]);
  await daemon.ok(["rm", "-f", "hurt", "well"]);
  await daemon.ok(["network", "rm", "own"]);
  await daemon.ok(["volume", "rm", "kept"]);
}, 120_000);

test("a damaged network, volume, secret or image leaves the rest in service, and nothing of it is removed", async () => {
  await daemon.importBusybox("other");
  const network = await daemon.ok(["network", "create", "lost"]);
  await daemon.ok(["run", "-d", "--name", "inside", "--network", "lost", "busybox", "sh", "-c", serve]);
  const address = await daemon.ok([
    "inspect",
    "-f",
    "{{.NetworkSettings.Networks.lost.IPAddress}}",
    "inside",
  ]);
  const serves = async () => (await (await fetch(`http://${address}`)).text()) === "here";
  await eventually("it serves", () => serves().catch(() => false));
  const ask = `timeout 2 wget -qO- http://${address}; echo ended with $?`;
  await daemon.ok(["volume", "create", "--label", "keep=1", "labelled"]);
  await daemon.ok(["secret", "create", "word", "-"], { input: "open" });
  const image = await daemon.ok(["image", "inspect", "-f", "{{.Id}}", "other"]);
  const layer = await daemon.ok(["image", "inspect", "-f", "{{index .RootFS.Layers 0}}", "other"]);
  await daemon.stop();
  const putBack = [
    keep("state.db", "network", "record", `id = '${network}'`),
    keep("store.db", "volume", "labels", "name = 'labelled'"),
    keep("store.db", "secret", "labels", "name = 'word'"),
    keep("store.db", "image", "manifest", `id = '${image}'`),
    keep("store.db", "image_manifest", "descriptor", `image = '${image}'`),
  ];
  edit("state.db", `UPDATE network SET record = '{"id":' WHERE id = '${network}'`);
  edit(
    "store.db",
    "UPDATE volume SET labels = '{' WHERE name = 'labelled'",
    "UPDATE secret SET labels = '{' WHERE name = 'word'",
    `UPDATE image SET manifest = '{', config = '{' WHERE id = '${image}'`,
    `UPDATE image_manifest SET descriptor = 'null' WHERE image = '${image}'`,
  );
  await daemon.up();
  // The config is a blob as well, so that one is whole again.
  await eventually("the log tells", () =>
    daemon.log.includes("a record that could not be read was written again"),
  );
  expect(await daemon.ok(["run", "--rm", "other", "echo", "runs"])).toBe("runs");
  expect(await daemon.ok(["run", "--rm", "busybox", "echo", "runs"])).toBe("runs");
  expect(await daemon.ok(["network", "ls", "--format", "{{.Name}}"])).toBe("bridge\nhost\nnone");
  expect((await daemon.tug(["network", "create", "lost"])).stderr).toContain(
    "network with name lost already exists, but its record cannot be read",
  );
  // The containers on it go on, and what its rules were, nobody knows.
  await eventually("the log tells of the network", () =>
    daemon.log.includes("are cut off until it is put right"),
  );
  expect(await serves()).toBe(true);
  expect(await daemon.ok(["run", "--rm", "busybox", "sh", "-c", ask])).toBe("ended with 143");
  expect(await daemon.ok(["volume", "ls", "-q"])).toBe("labelled");
  expect(await daemon.ok(["secret", "ls", "--format", "{{.Name}}"])).toBe("word");
  // Nobody knows whether it has the label.
  await daemon.ok(["volume", "prune", "-f", "-a", "--filter", "label!=keep"]);
  expect(await daemon.ok(["volume", "ls", "-q"])).toBe("labelled");
  // A write to the tables of images works beside the damaged ones.
  await daemon.ok(["tag", "busybox", "again"]);
  await daemon.ok(["rmi", "again"]);
  await daemon.stop();
  for (const one of putBack) one();
  await daemon.up();
  expect(await daemon.ok(["network", "inspect", "-f", "{{.Name}}", "lost"])).toBe("lost");
  await daemon.ok(["restart", "-t", "0", "inside"]);
  await daemon.ok(["rm", "-f", "inside"]);
  expect(await daemon.ok(["volume", "inspect", "-f", "{{.Labels.keep}}", "labelled"])).toBe("1");
  expect(await daemon.ok(["image", "inspect", "-f", "{{index .RootFS.Layers 0}}", "other"])).toBe(layer);
  expect(await daemon.tug(["system", "check"])).toMatchObject({ code: 0 });
  await daemon.ok(["secret", "rm", "word"]);
  await daemon.ok(["network", "rm", "lost"]);
  await daemon.ok(["rmi", "other"]);
}, 120_000);

test("the default bridge, host and none whose records are damaged are themselves again, and containers on the bridge go on", async () => {
  const names = ["bridge", "host", "none"];
  const ids = () => daemon.ok(["network", "inspect", "-f", "{{.Id}} {{.IPAM.Config}}", ...names]);
  const before = await ids();
  const bridge = before.slice(0, 64);
  await daemon.ok(["run", "-d", "--name", "stays", "-p", "127.0.0.1::80", "busybox", "sh", "-c", serve]);
  const where = await daemon.ok(["port", "stays", "80"]);
  const page = async () => await (await fetch(`http://${where}`)).text();
  await eventually("it serves", async () => (await page().catch(String)) === "here", 30_000);
  const address = await daemon.ok(["inspect", "-f", "{{.NetworkSettings.IPAddress}}", "stays"]);
  const damages = [
    ["record = substr(record, 1, 40)", "JSON Parse error"],
    [`record = json_remove(record, '$.ipam.config')`, "no list of pools"],
    [`record = json_set(record, '$.name', 5)`, "is no text"],
    ["record = ''", "JSON Parse error"],
  ] as const;
  for (const [damage, problem] of damages) {
    await daemon.stop();
    const told = daemon.log.length;
    edit("state.db", `UPDATE network SET ${damage} WHERE name IN ('bridge', 'host', 'none')`);
    await daemon.up();
    const log = () => daemon.log.slice(told);
    await eventually("the log tells", () => log().split("was written again").length === 4);
    const line = log()
      .split("\n")
      .find((each) => each.includes("a record cannot be read") && each.includes(bridge));
    expect(line).toContain(problem);
    expect(await ids()).toBe(before);
    expect(await daemon.ok(["network", "ls", "--format", "{{.Name}}"])).toBe(names.join("\n"));
    expect(await daemon.ok(["inspect", "-f", "{{.NetworkSettings.IPAddress}}", "stays"])).toBe(address);
    expect(await page()).toBe("here");
    const neighbour = await daemon.ok(["run", "--rm", "busybox", "wget", "-qO-", `http://${address}`]);
    expect(neighbour).toBe("here");
  }
  // With the interface gone too, what its endpoints have tells the subnet.
  await daemon.stop();
  edit("state.db", "UPDATE network SET record = '{' WHERE name = 'bridge'");
  Bun.spawnSync(["ip", "link", "delete", `tug${daemon.instance.slice(4)}`]);
  await daemon.up();
  expect(await ids()).toBe(before);
  expect(await daemon.tug(["system", "check", "--quick"])).toMatchObject({ code: 0 });
  await daemon.ok(["rm", "-f", "stays"]);
}, 120_000);

test("layers of an image whose config cannot be had are kept until it can", async () => {
  await daemon.ok(["run", "--name", "maker", "busybox", "sh", "-c", "echo made > /made"]);
  await daemon.ok(["commit", "maker", "made"]);
  await daemon.ok(["rm", "maker"]);
  const image = await daemon.ok(["image", "inspect", "-f", "{{.Id}}", "made"]);
  await daemon.stop();
  const putBack = keep("store.db", "image", "config", `id = '${image}'`);
  edit("store.db", `UPDATE image SET config = 'torn' WHERE id = '${image}'`);
  const blob = new Bun.Glob(`content/**/${image.slice(7)}`).scanSync({ cwd: daemon.dataRoot }).next().value;
  const path = join(daemon.dataRoot, String(blob));
  copyFileSync(path, join(daemon.root, "kept-config"));
  rmSync(path);
  await daemon.up();
  expect(await daemon.ok(["images", "--format", "{{.Repository}}"])).toBe("busybox");
  await daemon.ok(["image", "prune", "-f"]);
  await daemon.stop();
  putBack();
  await daemon.up();
  expect(await daemon.ok(["run", "--rm", "made", "cat", "/made"])).toBe("made");
  await daemon.ok(["rmi", "made"]);
}, 120_000);

test("a database that is damaged as a whole is refused by its name and with the ways out, and is left as it was", async () => {
  await daemon.stop();
  for (const [file, damage] of [
    ["state.db", (path: string) => truncateSync(path, 5000)],
    ["store.db", (path: string) => writeFileSync(path, Buffer.alloc(statSync(path).size, "x"))],
  ] as const) {
    const path = join(daemon.dataRoot, file);
    expect(existsSync(`${path}-wal`)).toBe(false);
    copyFileSync(path, join(daemon.root, "kept.db"));
    damage(path);
    const size = statSync(path).size;
    const refused = await run(
      [
        tugBinary,
        "daemon",
        "--data-root",
        daemon.dataRoot,
        "--exec-root",
        daemon.execRoot,
        "--pidfile",
        join(daemon.root, "pid"),
        "--config-file",
        join(daemon.root, "daemon.json"),
        "-H",
        daemon.host,
      ],
      { env: { DOCKER_HOST: "" } },
    );
    expect(refused.code).toBe(1);
    expect(refused.stderr).toContain(`the database ${path} is damaged`);
    expect(refused.stderr).toContain(`sqlite3 ${path} .recover`);
    expect(refused.stderr).not.toContain(file === "state.db" ? "store.db is" : "state.db is");
    expect(statSync(path).size).toBe(size);
    copyFileSync(join(daemon.root, "kept.db"), path);
    for (const end of ["-wal", "-shm"]) rmSync(`${path}${end}`, { force: true });
  }
  await daemon.up();
  expect(await daemon.ok(["images", "-q"])).not.toBe("");
}, 120_000);
