import { invalid } from "../../../base/lib/errors.ts";

/** HostConfig.SecurityOpt, understood. */
export interface SecurityOptions {
  readonly noNewPrivileges: boolean | undefined;
  /** Profile name, "unconfined", or undefined for the default. */
  readonly apparmor: string | undefined;
  /** "unconfined", "builtin", a profile's JSON text, or undefined for the default. */
  readonly seccomp: string | undefined;
  /** SELinux label parts by name (user, role, type, level, disable). */
  readonly label: Readonly<Record<string, string>>;
}

/** Parses `key=value` (or the old `key:value`) options; throws Docker's text for what it does not know. */
export function parseSecurityOptions(options: readonly string[]): SecurityOptions {
  let noNewPrivileges: boolean | undefined;
  let apparmor: string | undefined;
  let seccomp: string | undefined;
  const label: Record<string, string> = {};
  for (const option of options) {
    if (option === "no-new-privileges") {
      noNewPrivileges = true;
      continue;
    }
    if (option === "disable") {
      label["disable"] = "";
      continue;
    }
    const at = option.search(/[=:]/);
    if (at < 0) throw invalid(`invalid --security-opt 1: ${JSON.stringify(option)}`);
    const [key, value] = [option.slice(0, at), option.slice(at + 1)];
    switch (key) {
      case "label": {
        const [name = "", ...rest] = value.split(/[:=]/);
        label[name] = rest.join(":");
        break;
      }
      case "apparmor":
        apparmor = value;
        break;
      case "seccomp":
        seccomp = value;
        break;
      case "no-new-privileges":
        if (!/^(?:1|t|T|true|TRUE|True|0|f|F|false|FALSE|False)$/.test(value))
          throw invalid(`invalid --security-opt 2: ${JSON.stringify(option)}`);
        noNewPrivileges = /^(?:1|t)/i.test(value);
        break;
      // Understood by Docker's Linux client only, which turns it into MaskedPaths and ReadonlyPaths.
      case "systempaths":
        break;
      default:
        throw invalid(`invalid --security-opt 2: ${JSON.stringify(option)}`);
    }
  }
  return { noNewPrivileges, apparmor, seccomp, label };
}

/** SELinux labels of a process and of its mounts (user:role:type:level), the default type unless asked otherwise. */
export function selinuxLabels(
  label: Readonly<Record<string, string>>,
): { readonly process: string; readonly mount: string } | undefined {
  if (label["disable"] !== undefined) return undefined;
  const level = label["level"] || "s0";
  const user = label["user"] || "system_u";
  const role = label["role"] || "system_r";
  return {
    process: `${user}:${role}:${label["type"] || "container_t"}:${level}`,
    mount: `system_u:object_r:${label["filetype"] || "container_file_t"}:${level}`,
  };
}
