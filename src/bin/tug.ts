/** The one executable: the daemon, its re-executed helpers, and the command line, each loaded only when it is meant. */
async function start(argv: readonly string[]): Promise<number> {
  switch (argv[0]) {
    case "daemon":
      return (await import("../daemon/main.ts")).main(argv.slice(1));
    case "registry":
      return (await import("../daemon/registry/main.ts")).main(argv.slice(1));
    case "__helper":
      return (await import("../helper/main.ts")).runHelper(argv.slice(1));
    default:
      return (await import("../cli/main.ts")).main(argv);
  }
}

process.exit(await start(process.argv.slice(2)));

export {};
