import { messageOf } from "../../base/lib/errors.ts";
import { exitError } from "../command.ts";
import { compileTemplate } from "./template/execute.ts";
import { alias, parseGoJson } from "./template/nil.ts";

/** Fields that the daemon leaves out when they are empty. */
const absent: Readonly<Record<string, unknown>> = {
  CDISpecDirs: [],
  ClientErrors: [],
  Containerd: null,
  DefaultAddressPools: [],
  FirewallBackend: null,
  GenericResources: [],
  ProductLicense: "",
  ServerErrors: [],
  UserName: "",
  Warnings: [],
};

/** Go's names where they are not the wire's. */
const renamed: Readonly<Record<string, string>> = {
  HTTPProxy: "HttpProxy",
  HTTPSProxy: "HttpsProxy",
  CPUCfsPeriod: "CpuCfsPeriod",
  CPUCfsQuota: "CpuCfsQuota",
};

/** A template over `info`; what it throws has Docker's words. An unreachable daemon leaves every field empty. */
export function infoTemplate(format: string): (info: Readonly<Record<string, unknown>>) => string {
  let run: (data: unknown) => string;
  try {
    run = compileTemplate(format, { missing: "struct", typeName: "system.dockerInfo", shapeOf });
  } catch (error) {
    throw exitError(`template parsing error: ${messageOf(error)}`, 64, error);
  }
  return (info) => {
    const view = parseGoJson(JSON.stringify(info)) as Record<string, unknown>;
    for (const [name, value] of Object.entries(absent)) alias(view, name, value);
    for (const [name, wire] of Object.entries(renamed)) alias(view, name, view[wire] ?? "");
    if (view["ServerVersion"] === undefined) {
      for (const name of ["ID", "Name", "Driver", "ServerVersion", "DockerRootDir"]) alias(view, name, "");
    }
    return run(view);
  };
}

/** `{{.Plugins}}` prints its lists in this order. */
function shapeOf(value: object): readonly string[] | undefined {
  return "Log" in value && "Network" in value ? ["Volume", "Network", "Authorization", "Log"] : undefined;
}
