import { afterAll, afterEach, beforeAll, describe, expect, test } from "bun:test";
import { existsSync, readFileSync, rmdirSync } from "node:fs";
import { join, resolve } from "node:path";
import { TestDaemon } from "../harness/daemon.ts";
import { containerConfig, healthConfig } from "./fields/container-config.ts";
import type { Field, Inspected } from "./fields/field.ts";
import { hostConfig } from "./fields/host-config.ts";

/** No member of a create request is silently ignored: it has its effect, or the daemon refuses it or says that it discards it. */
const repository = resolve(import.meta.dir, "../..");
const tables = { HostConfig: hostConfig, ContainerConfig: containerConfig, HealthConfig: healthConfig };
const fields = Object.entries(tables).flatMap(([table, members]) =>
  Object.entries<Field>(members).map(([name, field]) => ({ table, name, field })),
);

let daemon: TestDaemon;
/** What each script prints in a container where nothing was asked for. */
const plain = new Map<string, string>();
beforeAll(async () => {
  daemon = await TestDaemon.start();
  const scripts = [...new Set(fields.flatMap(({ field }) => field.script ?? []))];
  const all = scripts.map((script, index) => `echo "#${index}"; ( ${script || "true"} ) 2>&1`).join("\n");
  const printed = await daemon.tug(["run", "--rm", "busybox", "sh", "-c", all]);
  for (const [index, part] of printed.stdout
    .split(/^#\d+\n/m)
    .slice(1)
    .entries())
    plain.set(scripts[index] ?? "", part.trim());
}, 120_000);
afterEach(() => daemon.assertClean());
afterAll(async () => {
  await daemon.close();
  // A parent that a container names is its user's, as in Docker: the engine leaves it.
  const parents = new Bun.Glob("{*,.}/tug-fields").scanSync({ cwd: "/sys/fs/cgroup", onlyFiles: false });
  for (const path of [...parents]) rmdirSync(join("/sys/fs/cgroup", path));
});

for (const { table, name, field } of fields) {
  test(`${table}.${name}`, async () => {
    await source(name);
    const created = await daemon.api("POST", "/containers/create?name=field", requestOf(table, name, field));
    const reply = created.body as {
      readonly Id?: string;
      readonly message?: string;
      readonly Warnings?: string[];
    };
    if (field.refused !== undefined) {
      const refusal = reply.message ?? (await daemon.tug(["start", "field"])).stderr;
      expect(refusal).toMatch(field.refused);
      return;
    }
    if (field.lacking !== undefined && reply.message?.includes(field.lacking)) return;
    expect({ status: created.status, message: reply.message }).toEqual({ status: 201, message: undefined });
    const warned = (reply.Warnings ?? []).join("\n");
    const discarded = field.warned?.test(warned) ?? false;
    if (field.warned && field.script === undefined) expect(warned).toMatch(field.warned);
    const id = reply.Id ?? "";
    const inspect = async () => (await daemon.api("GET", `/containers/${id}/json`)).body as Inspected;
    if (!discarded) expect(shownOf(table, name, await inspect())).toEqual(field.shown ?? field.value);
    await daemon.ok(["start", id]);
    if (field.script !== undefined) {
      await daemon.ok(["wait", id]);
      const { stdout, stderr } = await daemon.tug(["logs", id]);
      const said = `${stdout}${stderr}`.replaceAll("\r", "").trim();
      if (!discarded && field.prints) {
        expect(said).toMatch(field.prints);
        // Else the script would show nothing.
        expect(plain.get(field.script)).not.toMatch(field.prints);
      }
    }
    if (field.ended && field.look) await daemon.tug(["wait", id]);
    await field.look?.({ daemon, id, inspect });
    if (field.proven) {
      const [file, words] = field.proven;
      expect(readFileSync(join(repository, file), "utf8")).toContain(words);
    }
    const shown = field.script !== undefined || field.look || field.warned || field.proven || field.kept;
    expect(shown ? "shown" : `nothing shows what ${name} does`).toBe("shown");
  });
}

/** A container others can refer to, for the members that do. */
async function source(name: string): Promise<void> {
  if (name !== "VolumesFrom" && name !== "Links") return;
  await daemon.ok(["run", "-d", "--name", "source", "-v", "/shared", "busybox", "sleep", "1000"]);
}

function requestOf(table: string, name: string, field: Field): unknown {
  const command = field.script ? ["sh", "-c", field.script] : field.ended ? ["true"] : ["sleep", "1000"];
  const of = (wanted: string) => (table === wanted ? { [name]: field.value } : {});
  const health = table === "HealthConfig" ? { Test: ["CMD", "true"], ...of("HealthConfig") } : undefined;
  return {
    Image: "busybox",
    Cmd: command,
    ...(health ? { Healthcheck: health } : {}),
    ...field.config,
    ...of("ContainerConfig"),
    HostConfig: { NetworkMode: name === "Links" ? "bridge" : "none", ...field.host, ...of("HostConfig") },
  };
}

function shownOf(table: string, name: string, inspected: Inspected): unknown {
  if (table === "HostConfig") return inspected.HostConfig[name];
  if (table === "ContainerConfig") return inspected.Config[name];
  return (inspected.Config["Healthcheck"] as Record<string, unknown>)[name];
}

const published = resolve(repository, "../shared/spec/engine-api.yaml");
const known = existsSync(published);
if (!known) console.log(`skipped: the table against the published API: ${published} is not there`);
describe.skipIf(!known)("the table", () => {
  test("has the members of the published API, all of them and no others", () => {
    const { definitions } = Bun.YAML.parse(readFileSync(published, "utf8")) as {
      definitions: Record<string, Definition>;
    };
    const members = (definition: Definition | undefined): string[] => [
      ...Object.keys(definition?.properties ?? {}),
      ...(definition?.allOf ?? []).flatMap((part) =>
        members(part.$ref ? definitions[part.$ref.replace("#/definitions/", "")] : part),
      ),
    ];
    for (const [table, entries] of Object.entries(tables))
      expect(Object.keys(entries).sort()).toEqual(members(definitions[table]).sort());
  });
});

interface Definition {
  readonly properties?: Readonly<Record<string, unknown>>;
  readonly allOf?: readonly (Definition & { readonly $ref?: string })[];
}
