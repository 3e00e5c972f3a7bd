import { afterAll, afterEach, beforeAll, expect, test } from "bun:test";
import { TestDaemon } from "../harness/daemon.ts";

/** Expectations are what Docker's CLI 28 and dockerd print for the same commands. */
let daemon: TestDaemon;
beforeAll(async () => {
  daemon = await TestDaemon.start();
}, 120_000);
afterEach(() => daemon.assertClean());
afterAll(() => daemon.close());

const lines = (text: string) => text.split("\n").filter(Boolean).sort();
const names = async () => lines(await daemon.ok(["ps", "-a", "--format", "{{.Names}}"]));
const volumes = async () => lines(await daemon.ok(["volume", "ls", "-q"]));
const networks = async () =>
  lines(await daemon.ok(["network", "ls", "--filter", "type=custom", "--format", "{{.Name}}"]));
const images = async () => lines(await daemon.ok(["images", "--format", "{{.Repository}}:{{.Tag}}"]));
const create = (name: string, ...flags: string[]) =>
  daemon.ok(["create", "--name", name, "--network", "none", ...flags, "busybox"]);

/** An image of its own: another label makes another configuration. */
const makeImage = async (label: string, ...name: string[]) => {
  const container = await daemon.ok(["create", "busybox"]);
  const id = await daemon.ok(["commit", "-c", `LABEL made=${label}`, container, ...name]);
  await daemon.ok(["rm", container]);
  return id;
};

const question = "\nAre you sure you want to continue? [y/N] ";

test("every prune says first what it will remove, and removes nothing unless the answer is y", async () => {
  await create("stays");
  const everything = ["all stopped containers", "all networks not used by at least one container"];
  const anonymous = "all anonymous volumes not used by at least one container";
  const unused = "all images without at least one container associated to them";
  const list = (items: readonly string[]) =>
    `This will remove:\n${items.map((item) => `  - ${item}\n`).join("")}`;
  const cases: readonly (readonly [string, string])[] = [
    ["container prune", "This will remove all stopped containers."],
    ["image prune", "This will remove all dangling images."],
    ["image prune -a", `This will remove ${unused}.`],
    ["volume prune", "This will remove anonymous local volumes not used by at least one container."],
    ["volume prune -a", "This will remove all local volumes not used by at least one container."],
    ["network prune", "This will remove all custom networks not used by at least one container."],
    ["system prune", list([...everything, "all dangling images", "unused build cache"])],
    ["system prune -a", list([...everything, unused, "all build cache"])],
    ["system prune --volumes", list([...everything, anonymous, "all dangling images", "unused build cache"])],
    ["system prune -a --volumes", list([...everything, anonymous, unused, "all build cache"])],
    [
      "system prune --filter label=x --filter until=1h --filter label!=z",
      `${list([...everything, "all dangling images", "unused build cache"])}\n${[
        "  Items to be pruned will be filtered with:",
        "  - label!=z",
        "  - label=x",
        "  - until=1h",
        "",
      ].join("\n")}`,
    ],
  ];
  for (const [command, warning] of cases) {
    const said = await daemon.tug(command.split(" "), { input: "n\n" });
    expect(said).toEqual({ code: 0, stdout: `WARNING! ${warning}${question}`, stderr: "" });
  }
  for (const answer of ["", "\n", "yes\n", "no\n"]) {
    expect((await daemon.tug(["container", "prune"], { input: answer })).code).toBe(0);
    expect(await names()).toEqual(["stays"]);
  }
  const agreed = await daemon.ok(["container", "prune"], { input: "Y\n" });
  expect(agreed).toContain(`${question}Deleted Containers:\n`);
  expect(await names()).toEqual([]);
});

test("containers: stopped and created ones go, by label, its absence, and age", async () => {
  const one = await create("one", "--label", "k=1");
  const two = await create("two", "--label", "k=2");
  await daemon.ok(["run", "--name", "wrote", "busybox", "sh", "-c", "head -c 1000000 /dev/zero > /x"]);
  await daemon.ok(["run", "-d", "--name", "up", "--label", "k=1", "busybox", "sleep", "1000"]);
  await daemon.ok(["run", "-d", "--name", "frozen", "busybox", "sleep", "1000"]);
  await daemon.ok(["pause", "frozen"]);
  expect(await daemon.ok(["container", "prune", "-f", "--filter", "until=1h"])).toBe(
    "Total reclaimed space: 0B",
  );
  const byLabel = await daemon.ok(["container", "prune", "-f", "--filter", "label=k=1"]);
  expect(byLabel).toMatch(new RegExp(`^Deleted Containers:\n${one}\n\nTotal reclaimed space: [\\d.]+k?B$`));
  const unlabelled = await daemon.ok(["container", "prune", "--force", "--filter", "label!=k"]);
  // As du tells it: a megabyte and the few directories around it.
  expect(unlabelled).toMatch(/^Deleted Containers:\n[0-9a-f]{64}\n\nTotal reclaimed space: 1(\.0\d+)?MB$/);
  expect(await names()).toEqual(["frozen", "two", "up"]);
  // A point in time as a date: from the day after tomorrow (tomorrow has begun somewhere) back everything is old enough.
  const day = new Date(Date.now() + 2 * 86_400_000).toISOString().slice(0, 10);
  expect(await daemon.ok(["container", "prune", "-f", "--filter", `until=${day}`])).toContain(two);
  expect(await names()).toEqual(["frozen", "up"]);
});

test("volumes: anonymous ones go, named ones with -a, none that a container has", async () => {
  await daemon.ok(["volume", "create", "named"]);
  await daemon.ok(["volume", "create", "--label", "k=1", "labelled"]);
  const anonymous = await daemon.ok(["volume", "create"]);
  await daemon.ok(["run", "--name", "user", "-v", "/data", "-v", "used:/u", "busybox", "true"]);
  const kept = (await volumes()).filter((name) => name !== anonymous);
  const deleted = await daemon.ok(["volume", "prune", "-f"]);
  expect(deleted).toMatch(
    new RegExp(`^Deleted Volumes:\n${anonymous}\n\nTotal reclaimed space: [\\d.]+k?B$`),
  );
  expect(await volumes()).toEqual(kept);
  const named = ["volume", "prune", "-f", "--filter", "all=1", "--filter"];
  expect(await daemon.ok([...named, "label!=k"])).toStartWith("Deleted Volumes:\nnamed\n\n");
  expect(await daemon.ok([...named, "label=k=1"])).toStartWith("Deleted Volumes:\nlabelled\n\n");
  expect((await volumes()).length).toBe(2);
  await daemon.ok(["rm", "user"]);
  expect(lines(await daemon.ok(["volume", "prune", "-a", "-f"]))).toContain("used");
  expect(await volumes()).toEqual([]);
});

test("networks: custom ones without a container that runs in them, by label and age", async () => {
  await daemon.ok(["network", "create", "--label", "k=1", "labelled"]);
  await daemon.ok(["network", "create", "free"]);
  await daemon.ok(["network", "create", "busy"]);
  await daemon.ok(["network", "create", "waiting"]);
  await daemon.ok(["run", "-d", "--name", "up", "--network", "busy", "busybox", "sleep", "1000"]);
  await daemon.ok(["create", "--network", "waiting", "busybox"]);
  expect(await daemon.ok(["network", "prune", "-f", "--filter", "until=24h"])).toBe("");
  // One that a container was only created for goes too, as it does for Docker.
  const deleted = await daemon.ok(["network", "prune", "-f", "--filter", "label!=k"]);
  expect(lines(deleted)).toEqual(["Deleted Networks:", "free", "waiting"]);
  expect(await daemon.ok(["network", "prune", "-f"])).toBe("Deleted Networks:\nlabelled\n");
  expect(await networks()).toEqual(["busy"]);
});

test("images: dangling ones go, unused ones with -a, none that a container was made from", async () => {
  const dangling = await makeImage("dangling");
  const keeper = await makeImage("keeper", "keeper");
  await makeImage("two-names", "one:1");
  await daemon.ok(["tag", "one:1", "two:2"]);
  await daemon.ok(["create", "--name", "from", "keeper"]);
  await daemon.ok(["create", "--name", "base", "busybox"]);
  expect(await daemon.ok(["image", "prune", "-f", "--filter", "label=none"])).toBe(
    "Total reclaimed space: 0B",
  );
  expect(await daemon.ok(["image", "prune", "-f"])).toBe(
    `Deleted Images:\ndeleted: ${dangling}\n\nTotal reclaimed space: 0B`,
  );
  expect(await daemon.ok(["image", "prune", "-a", "-f", "--filter", "until=1h"])).toBe(
    "Total reclaimed space: 0B",
  );
  expect(await daemon.ok(["image", "prune", "-a", "-f", "--filter", "label!=made"])).toBe(
    "Total reclaimed space: 0B",
  );
  const all = lines(await daemon.ok(["image", "prune", "-a", "-f", "--filter", "label=made=two-names"]));
  expect(all).toContain("untagged: one:1");
  expect(all).toContain("untagged: two:2");
  expect(all.filter((line) => line.startsWith("deleted: sha256:"))).toHaveLength(1);
  expect(await images()).toEqual(["busybox:latest", "keeper:latest"]);
  await daemon.ok(["rm", "from"]);
  expect(await daemon.ok(["image", "prune", "-a", "-f"])).toContain(`deleted: ${keeper}\n`);
  expect(await images()).toEqual(["busybox:latest"]);
});

test("the system: containers, networks and images, volumes when asked for, each reported with one sum", async () => {
  await makeImage("unused", "unused:1");
  await daemon.ok(["network", "create", "idle"]);
  await daemon.ok(["volume", "create", "named"]);
  await daemon.ok(["run", "-d", "--name", "up", "busybox", "sleep", "1000"]);
  const stopped = await daemon.ok(["create", "--name", "gone", "-v", "/data", "busybox"]);
  const said = await daemon.ok(["system", "prune", "-f", "--filter", "label!=keep"]);
  expect(said).toMatch(
    new RegExp(
      `^Deleted Containers:\n${stopped}\n\nDeleted Networks:\nidle\n\nTotal reclaimed space: [\\d.]+k?B$`,
    ),
  );
  expect((await volumes()).length).toBe(2);
  const rest = await daemon.ok(["system", "prune", "-a", "-f", "--volumes"]);
  expect(rest).toMatch(/^Deleted Volumes:\n[0-9a-f]{64}\n\nDeleted Images:\nuntagged: unused:1\n/);
  expect(await volumes()).toEqual(["named"]);
  expect(await images()).toEqual(["busybox:latest"]);
  expect(await names()).toEqual(["up"]);
});

test("filters that a prune does not know, contradict or cannot be read are refused, and nothing goes", async () => {
  await create("stays");
  const refused: readonly (readonly [string, string])[] = [
    ["container prune -f --filter until=nope", 'failed to parse value as time or duration: "nope"'],
    ["container prune -f --filter until=1h --filter until=2h", "more than one until filter specified"],
    ["container prune -f --filter x=1", "invalid filter 'x'"],
    ["image prune -f --filter dangling=false", "invalid filter 'dangling=[false true]'"],
    ["image prune -a -f --filter dangling=true", "invalid filter 'dangling=[true false]'"],
    ["image prune -f --filter x=1", "invalid filter 'x'"],
    ["volume prune -f --filter until=1h", "invalid filter 'until'"],
    ["volume prune -f --filter all=maybe", "invalid filter 'all=[maybe]'"],
    ["network prune -f --filter dangling=1", "invalid filter 'dangling'"],
    ["network prune -f --filter until=zz", 'failed to parse value as time or duration: "zz"'],
    ["system prune -f --filter nosuch=1", "invalid filter 'nosuch'"],
  ];
  for (const [command, message] of refused) {
    const result = await daemon.tug(command.split(" "));
    expect({ command, ...result }).toEqual({
      command,
      code: 1,
      stdout: "",
      stderr: `Error response from daemon: ${message}\n`,
    });
  }
  const until = await daemon.tug(["system", "prune", "--volumes", "--filter", "until=1h"]);
  expect(until.stderr).toBe('ERROR: The "until" filter is not supported with "--volumes"\n');
  const twice = await daemon.tug(["volume", "prune", "-a", "--filter", "all=1"]);
  expect(twice.stderr).toBe("conflicting options: cannot specify both --all and --filter all=1\n");
  expect([until.code, twice.code]).toEqual([1, 1]);
  expect(await names()).toEqual(["stays"]);
});
