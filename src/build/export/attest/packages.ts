import { codeOf } from "../../../base/lib/errors.ts";
import { osRelease } from "../../../base/lib/os-release.ts";
import { RootedDir } from "../../../base/sys/rooted-dir.ts";
import { apkPackages, dpkgPackages, type FoundPackage, npmPackage } from "./databases.ts";
import { rpmDatabases, rpmPackages } from "./rpm.ts";

export interface FoundPackages {
  /** Of /etc/os-release: "debian"; "" where there is none. */
  readonly distribution: string;
  readonly release: string;
  readonly packages: readonly FoundPackage[];
}

/** Larger files are no package database. */
const databaseLimit = 64 << 20;
const documentLimit = 1 << 20;
/** What is looked at in search of node_modules; a tree with more is not told of any further. */
const directoryLimit = 200_000;

/**
 * What dpkg, apk, rpm and npm say is installed in a tree. Links in it lead nowhere else; what cannot be read as a database is passed over. Gives
 * way to the event loop.
 */
export async function findPackages(path: string, signal: AbortSignal): Promise<FoundPackages> {
  using root = RootedDir.open(path);
  const read = (file: string, limit: number) => textOf(root, file, limit);
  const release = osRelease(read("/etc/os-release", documentLimit) ?? "");
  const packages: FoundPackage[] = [];
  const status = read("/var/lib/dpkg/status", databaseLimit);
  if (status !== undefined) packages.push(...dpkgPackages(status, "/var/lib/dpkg/status"));
  // Images without dpkg itself have a file for each package.
  for (const name of namesIn(root, "/var/lib/dpkg/status.d")) {
    const file = `/var/lib/dpkg/status.d/${name}`;
    if (!name.endsWith(".md5sums")) packages.push(...dpkgPackages(read(file, databaseLimit) ?? "", file));
  }
  const apk = ["/lib/apk/db/installed", "/usr/lib/apk/db/installed"];
  const installed = apk.find((file) => root.tryStat(file)?.kind === "file");
  if (installed !== undefined) packages.push(...apkPackages(read(installed, databaseLimit) ?? "", installed));
  packages.push(...(await installedByRpm(root, signal)));
  for await (const file of npmDocuments(root, signal)) {
    const found = npmPackage(read(file, documentLimit) ?? "", file);
    if (found) packages.push(found);
  }
  return { distribution: release["ID"] ?? "", release: release["VERSION_ID"] ?? "", packages };
}

/** The first database that is there: others are links to it. */
async function installedByRpm(root: RootedDir, signal: AbortSignal): Promise<readonly FoundPackage[]> {
  for (const path of rpmDatabases) {
    const stat = root.tryStat(path);
    if (stat?.kind !== "file" || stat.size > databaseLimit) continue;
    try {
      return await rpmPackages(root.readFile(path, databaseLimit), path, signal);
    } catch (error) {
      if (codeOf(error) !== "invalid-argument") throw error; // no database
    }
  }
  return [];
}

function textOf(root: RootedDir, path: string, limit: number): string | undefined {
  const stat = root.tryStat(path);
  if (stat?.kind !== "file" || stat.size > limit) return undefined;
  return root.readFile(path, limit).toString("utf8");
}

function namesIn(root: RootedDir, path: string): readonly string[] {
  if (root.tryStat(path)?.kind !== "directory") return [];
  return root
    .readdir(path)
    .map(({ name }) => name)
    .sort();
}

/** package.json of every package below a node_modules, the nested ones too. */
async function* npmDocuments(root: RootedDir, signal: AbortSignal): AsyncGenerator<string, void, undefined> {
  const pending = [""];
  let looked = 0;
  for (let path = pending.pop(); path !== undefined; path = pending.pop()) {
    if (++looked > directoryLimit) return;
    if (looked % 200 === 0) {
      await new Promise<void>((resolve) => setImmediate(resolve));
      signal.throwIfAborted();
    }
    const isPackage = /\/node_modules\/(?:@[^/]+\/)?[^/@][^/]*$/.test(path);
    const names = directoryNames(root, path === "" ? "/" : path);
    if (isPackage && names.files.has("package.json")) yield `${path}/package.json`;
    for (const name of names.directories)
      if (path !== "" || !kernels.has(name)) pending.push(`${path}/${name}`);
  }
}

const kernels = new Set(["proc", "sys", "dev"]);

function directoryNames(
  root: RootedDir,
  path: string,
): { readonly files: ReadonlySet<string>; readonly directories: readonly string[] } {
  const files = new Set<string>();
  const directories: string[] = [];
  for (const { name } of root.readdir(path)) {
    if (name === "package.json") files.add(name);
    else if (root.tryLstat(`${path === "/" ? "" : path}/${name}`)?.kind === "directory")
      directories.push(name);
  }
  return { files, directories: directories.sort().reverse() };
}
