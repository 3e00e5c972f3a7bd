import { invalid } from "../../../base/lib/errors.ts";
import type { Dependency, SecretReference, TugHealthConfig } from "../../../base/spec/docker/extensions.ts";
import { parseCsv } from "../../flags/flag.ts";

/** `--secret NAME` or `--secret source=NAME,target=FILE,uid=0,gid=0,mode=0400`. */
export function parseSecret(value: string): SecretReference {
  if (!value.includes("=") && !value.includes(",")) return { Source: value };
  const reference: { -readonly [K in keyof SecretReference]: SecretReference[K] } = { Source: "" };
  for (const field of parseCsv(value)) {
    const at = field.indexOf("=");
    const [key, text] = at < 0 ? ["source", field] : [field.slice(0, at).toLowerCase(), field.slice(at + 1)];
    if (key === "source" || key === "src" || key === "id") reference.Source = text;
    else if (key === "target" || key === "dst") reference.Target = text;
    else if (key === "uid") reference.UID = text;
    else if (key === "gid") reference.GID = text;
    else if (key === "mode") {
      if (!/^0?[0-7]{1,4}$/.test(text)) throw invalid(`invalid mode specified: ${text}`);
      reference.Mode = Number.parseInt(text, 8);
    } else throw invalid(`invalid field in secret request: ${key}`);
  }
  if (reference.Source === "") throw invalid("source is required");
  return reference;
}

const actions = ["none", "kill", "restart", "stop"] as const;

/** `--health-on-failure none | kill | restart | stop`. */
export function parseHealthAction(value: string): NonNullable<TugHealthConfig["OnFailure"]> {
  const action = actions.find((name) => name === value);
  if (action === undefined) throw invalid(`must be one of ${actions.join(", ")}`);
  return action;
}

const conditions = ["started", "healthy", "completed"] as const;

/** `--depends-on NAME[:started|healthy|completed]`. */
export function parseDependency(value: string): readonly [string, Dependency] {
  const [name = "", text = "started", ...rest] = value.split(":");
  const condition = conditions.find((known) => known === text);
  if (name === "" || rest.length > 0 || condition === undefined) {
    throw invalid(`must be NAME[:${conditions.join("|")}]`);
  }
  return [name, { Condition: condition }];
}
