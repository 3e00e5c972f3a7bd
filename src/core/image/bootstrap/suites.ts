import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { editDistance } from "../../../base/lib/edit-distance.ts";

/** Where debootstrap keeps a script for each suite. */
const defaultScripts = "/usr/share/debootstrap/scripts";

export interface Suite {
  readonly distribution: string;
  readonly name: string;
  /** Path of the keyring that the distributor signs with. */
  readonly keyring: string;
  /** For one of Debian's architectures, where debootstrap would not know it. */
  readonly mirror: ((architecture: string) => string) | undefined;
  /** Name of the script to use, where debootstrap is older than the suite. */
  readonly script: string | undefined;
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

function devuanMirror(): string {
  return "http://deb.devuan.org/merged";
}

/**
 * Suites that came after many a debootstrap: the scripts are the same for all suites of these distributions.
 */
const newer = [
  {
    distribution: "debian",
    script: "sid",
    names: ["trixie", "forky", "duke"],
    mirror: () => "http://deb.debian.org/debian",
  },
  {
    distribution: "ubuntu",
    script: "gutsy",
    names: ["noble", "plucky", "questing", "resolute"],
    mirror: (architecture: string) =>
      ["amd64", "i386"].includes(architecture)
        ? "http://archive.ubuntu.com/ubuntu"
        : "http://ports.ubuntu.com/ubuntu-ports",
  },
  {
    distribution: "devuan",
    script: "ceres",
    names: ["chimaera", "daedalus", "excalibur", "freia"],
    mirror: devuanMirror,
  },
] as const;

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
      suites.push({ distribution: "devuan", name, mirror: devuanMirror, script: undefined, ...own });
    } else suites.push({ distribution, name, keyring, mirror: undefined, script: undefined });
  }
  for (const { distribution, script, names, mirror } of newer) {
    const like = suites.find((suite) => suite.distribution === distribution && suite.name === script);
    if (!like) continue;
    for (const name of names)
      if (!suites.some((suite) => suite.name === name)) suites.push({ ...like, name, mirror, script });
  }
  return suites;
}

/** The name nearest to `word` by what fingers do, if one is near. */
export function nearest(word: string, names: readonly string[]): string | undefined {
  const ranked = names
    .map((name) => ({ name, distance: editDistance(word, name) }))
    .sort((a, b) => a.distance - b.distance);
  const [best] = ranked;
  return best && best.distance <= Math.max(1, Math.floor(best.name.length / 3)) ? best.name : undefined;
}
