import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

/** Where debootstrap keeps a script for each suite. */
const defaultScripts = "/usr/share/debootstrap/scripts";

export interface Suite {
  readonly distribution: string;
  readonly name: string;
  /** Path of the keyring that the distributor signs with. */
  readonly keyring: string;
  /** Where debootstrap would not know it. */
  readonly mirror: string | undefined;
}

/** Devuan's suites share their scripts with Debian's, and so their keyring and mirror, which are not Devuan's. */
const devuan: ReadonlySet<string> = new Set([
  "ascii",
  "beowulf",
  "chimaera",
  "daedalus",
  "excalibur",
  "ceres",
]);

/** Debian's package of a distribution's keyring. */
export function keyringPackage(distribution: string): string {
  const names: Readonly<Record<string, string>> = { ubuntu: "ubuntu-keyring", devuan: "devuan-keyring" };
  return names[distribution] ?? `${distribution}-archive-keyring`;
}

/** Every suite that debootstrap has a script for and that is signed, by distribution and name. */
export function knownSuites(folder = defaultScripts): readonly Suite[] {
  if (!existsSync(folder)) return [];
  const suites: Suite[] = [];
  for (const name of readdirSync(folder).sort()) {
    // "sid.buildd" is a variant, "debian-common" a part.
    if (!/^[a-z][a-z0-9-]*$/.test(name) || name.endsWith("-common") || !existsSync(join(folder, name)))
      continue;
    const keyring = /^\s*keyring (\S+)/m.exec(readFileSync(join(folder, name), "utf8"))?.[1];
    const distribution = /\/([a-z]+)-archive-[a-z-]+\.gpg$/.exec(keyring ?? "")?.[1];
    if (keyring === undefined || distribution === undefined) continue;
    if (distribution === "debian" && devuan.has(name)) {
      const own = { keyring: "/usr/share/keyrings/devuan-archive-keyring.gpg" };
      suites.push({ distribution: "devuan", name, mirror: "http://deb.devuan.org/merged", ...own });
    } else suites.push({ distribution, name, keyring, mirror: undefined });
  }
  return suites;
}

/** The name nearest to `word` by single-letter edits, if one is near. */
export function nearest(word: string, names: readonly string[]): string | undefined {
  const ranked = names
    .map((name) => ({ name, distance: editDistance(word, name) }))
    .sort((a, b) => a.distance - b.distance);
  const [best] = ranked;
  return best && best.distance <= Math.max(1, Math.floor(best.name.length / 3)) ? best.name : undefined;
}

function editDistance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, i) => i);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const same = a[i - 1] === b[j - 1] ? 0 : 1;
      next.push(Math.min((row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1, (row[j - 1] ?? 0) + same));
    }
    row = next;
  }
  return row[b.length] ?? 0;
}
