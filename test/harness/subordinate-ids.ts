import { chmodSync } from "node:fs";

/**
 * Gives an account that every Debian has 65536 subordinate ids, for --userns-remap; `release` takes them back. Files that run side by
 * side each use an account and a range of their own.
 */
export function withSubordinateIds(account: string, first: number) {
  const range = `${first}-${first + 65_535}`;
  const change = (how: "add" | "del") => {
    for (const flag of ["subuids", "subgids"]) {
      const { exitCode, stderr } = Bun.spawnSync(["usermod", `--${how}-${flag}`, range, account]);
      if (exitCode !== 0) throw new Error(`usermod --${how}-${flag}: ${stderr.toString()}`);
    }
  };
  change("add");
  return {
    release: () => change("del"),
    /** The mapped ids must pass through a daemon's root to their containers. */
    openRoot: (root: string) => {
      chmodSync(root, 0o711);
      return root;
    },
  };
}
