import { invalid } from "../../base/lib/errors.ts";

/** A runtime of the configuration: a program that speaks runc's command line. */
export interface RuntimeConfig {
  /** A path, or a name that is looked for in PATH. */
  readonly path: string;
  /** Put before the runtime's command. */
  readonly args: readonly string[];
}

export type RuntimeConfigs = Readonly<Record<string, RuntimeConfig>>;

/** containerd's shim for runc and its like: what it drives is a program all the same. */
const RUNC_SHIM = "io.containerd.runc.v2";

/** `--add-runtime name=path` */
export function runtimesOfFlag(map: Readonly<Record<string, unknown>>): RuntimeConfigs {
  return Object.fromEntries(
    Object.entries(map).map(([name, path]) => [checkName(name), { path: String(path), args: [] }]),
  );
}

/** "runtimes" of daemon.json: {"name": {"path": …, "runtimeArgs": […]}}, or the same said through containerd's shim for runc. */
export function runtimesOfFile(map: Readonly<Record<string, unknown>>): RuntimeConfigs {
  return Object.fromEntries(
    Object.entries(map).map(([name, value]) => [checkName(name), runtimeOf(name, value)]),
  );
}

function runtimeOf(name: string, value: unknown): RuntimeConfig {
  const fail = (why: string) => invalid(`runtime '${name}': ${why}`);
  if (typeof value !== "object" || value === null) throw fail("an object is needed");
  const { path, runtimeArgs, runtimeType, options } = value as Readonly<Record<string, unknown>>;
  if (path !== undefined && runtimeType !== undefined)
    throw fail("cannot configure both path and runtimeType for the same runtime");
  const args = runtimeArgs ?? [];
  if (!Array.isArray(args) || args.some((one) => typeof one !== "string"))
    throw fail("runtimeArgs must be strings");
  if (runtimeType !== undefined) {
    if (runtimeType !== RUNC_SHIM)
      throw fail(
        `runtimeType ${String(runtimeType)} needs containerd, which is not there: give the program's path`,
      );
    const program = (options as { readonly BinaryName?: unknown } | undefined)?.BinaryName ?? "runc";
    return { path: String(program), args: [] };
  }
  if (typeof path !== "string" || path === "")
    throw fail("either a runtimeType or a path must be configured");
  return { path, args: args as readonly string[] };
}

function checkName(name: string): string {
  if (name === "runc") throw invalid("runtime name 'runc' is reserved");
  if (name === "") throw invalid("invalid runtime argument: a name is needed");
  return name;
}

/** One that is configured, or known by name. */
export function defaultRuntime(wanted: string | undefined, configured: RuntimeConfigs): string | undefined {
  if (wanted === undefined || wanted === "runc" || wanted === "crun" || wanted in configured) return wanted;
  throw invalid(`specified default runtime '${wanted}' does not exist`);
}
