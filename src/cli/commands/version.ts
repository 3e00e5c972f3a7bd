import { messageOf } from "../../base/lib/errors.ts";
import { builtAt, commitId, tugVersion } from "../../base/lib/product.ts";
import type { SystemVersion } from "../../base/spec/docker/api.gen.ts";
import { daemonVersion } from "../../client/system/version.ts";
import { clientApiVersion } from "../../client/version.ts";
import { defineCommand, exitError, noArgs } from "../command.ts";
import { text } from "../flags/flag.ts";
import { alignColumns } from "../format/tabwriter.ts";

export const command = defineCommand({
  usage: "[OPTIONS]",
  args: noArgs,
  flags: { format: text("f", "How to print: 'json' or a Go template") },
  async run(context, { values }) {
    const client = await context.client();
    let server: SystemVersion | undefined;
    let failure: unknown;
    try {
      server = await daemonVersion(client);
    } catch (error) {
      failure = error;
    }
    const view = {
      Client: clientView(client.version, context.globals.context ?? "default"),
      Server: server && serverView(server),
    };
    if (values.format !== "") {
      await context.out.write(await rendered(view, values.format));
    } else await context.out.write(`${pretty(view)}\n`);
    if (failure !== undefined) throw failure;
    return 0;
  },
});

/** As Docker: a template that cannot be read is a usage error, one that fails says so in its own words. */
async function rendered(view: object, format: string): Promise<string> {
  const { compileTemplate } = await import("../format/template/execute.ts");
  const source = format === "json" ? "{{json .}}" : format;
  let run: ReturnType<typeof compileTemplate>;
  try {
    run = compileTemplate(source, { missing: "struct", typeName: "system.clientVersion" });
  } catch (error) {
    throw exitError(`template parsing error: ${messageOf(error)}`, 64, error);
  }
  return `${run(view)}\n`;
}

function clientView(apiVersion: string, contextName: string) {
  return {
    Platform: { Name: "" },
    Version: tugVersion,
    ApiVersion: apiVersion,
    DefaultAPIVersion: clientApiVersion,
    GitCommit: commitId,
    GoVersion: "",
    RuntimeVersion: `bun${Bun.version}`,
    Os: process.platform,
    Arch: goArch(process.arch),
    BuildTime: builtAt,
    Context: contextName,
  };
}

/** The server's reply, with the engine as a component of its own where an old daemon sent none. */
function serverView(server: SystemVersion): SystemVersion {
  if ((server.Components ?? []).length > 0) return server;
  const {
    Version = "",
    ApiVersion = "",
    MinAPIVersion = "",
    GitCommit = "",
    GoVersion = "",
    Os = "",
    Arch = "",
    BuildTime = "",
  } = server;
  return {
    ...server,
    Components: [
      {
        Name: "Engine",
        Version,
        Details: { ApiVersion, MinAPIVersion, GitCommit, GoVersion, Os, Arch, BuildTime },
      },
    ],
  };
}

function goArch(arch: string): string {
  return arch === "x64" ? "amd64" : arch;
}

function pretty(view: { Client: ReturnType<typeof clientView>; Server: SystemVersion | undefined }): string {
  const { Client: client, Server: server } = view;
  const downgraded =
    client.ApiVersion === client.DefaultAPIVersion ? "" : ` (downgraded from ${client.DefaultAPIVersion})`;
  const rows: string[] = [
    "Client:",
    ` Version:\t${client.Version}`,
    ` API version:\t${client.ApiVersion}${downgraded}`,
    ` Bun version:\t${Bun.version}`,
    ` Git commit:\t${client.GitCommit}`,
    ...(client.BuildTime === "" ? [] : [` Built:\t${longTime(client.BuildTime)}`]),
    ` OS/Arch:\t${client.Os}/${client.Arch}`,
    ` Context:\t${client.Context}`,
  ];
  if (server) {
    rows.push("", server.Platform?.Name ? `Server: ${server.Platform.Name}` : "Server:");
    for (const component of server.Components ?? []) {
      rows.push(` ${component.Name}:`, `  Version:\t${component.Version ?? ""}`);
      rows.push(...detailRows(component.Name ?? "", component.Details ?? {}));
    }
  }
  return alignColumns(rows.join("\n"), 20, 1);
}

function detailRows(name: string, details: Readonly<Record<string, unknown>>): string[] {
  const value = (key: string) => String(details[key] ?? "");
  if (name !== "Engine") {
    return Object.keys(details)
      .sort()
      .map((key) => `  ${key}:\t${value(key)}`);
  }
  return [
    `  API version:\t${value("ApiVersion")} (minimum version ${value("MinAPIVersion")})`,
    ...(value("GoVersion") === ""
      ? []
      : [
          `  ${value("GoVersion").startsWith("bun") ? "Bun" : "Go"} version:\t${value("GoVersion").replace(/^bun/, "")}`,
        ]),
    `  Git commit:\t${value("GitCommit")}`,
    `  Built:\t${longTime(value("BuildTime"))}`,
    `  OS/Arch:\t${value("Os")}/${value("Arch")}`,
    `  Experimental:\t${value("Experimental") || "false"}`,
  ];
}

/** Go's time.ANSIC: "Thu May  7 21:09:36 2026". */
function longTime(text: string): string {
  const date = new Date(text);
  if (text === "" || Number.isNaN(date.getTime())) return text;
  const [week, month, day, year, time] = date
    .toUTCString()
    .replace(",", "")
    .replace(/^(\w+) (\d+) (\w+)/, "$1 $3 $2")
    .split(" ");
  return `${week} ${month} ${String(Number(day)).padStart(2)} ${time} ${year}`;
}
