/** A helper program: gets the arguments after its name, returns its exit code. */
export type Helper = (args: readonly string[]) => number | Promise<number>;

/** Programs that the executable runs itself as `tug __helper <name>`; each is loaded only when it is asked for. */
const helpers: Readonly<Record<string, () => Promise<Helper>>> = {
  bootstrap: async () => (await import("./bootstrap.ts")).bootstrap,
  "build-files": async () => (await import("./build-files.ts")).buildFiles,
  files: async () => (await import("./files.ts")).files,
  "read-layers": async () => (await import("./read-layers.ts")).readLayers,
  resolver: async () => (await import("./resolver.ts")).runResolver,
  unpack: async () => (await import("./unpack.ts")).unpack,
};

/** Runs the helper that `args` names and returns its exit code; 2 for an unknown name. */
export async function runHelper(args: readonly string[]): Promise<number> {
  const [name = "", ...rest] = args;
  const load = Object.hasOwn(helpers, name) ? helpers[name] : undefined;
  if (!load) {
    process.stderr.write(`unknown helper ${JSON.stringify(name)}\n`);
    return 2;
  }
  return await (await load())(rest);
}

// Run as a script of its own, as tests do.
if (import.meta.main) process.exit(await runHelper(Bun.argv.slice(2)));
