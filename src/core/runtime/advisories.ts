/**
 * The first release of each line of a runtime that has the fixes for what a hostile container or image could do to the host. A line that
 * is not named is older than all of them, or newer.
 */
const fixed: Readonly<Record<string, { readonly releases: readonly string[]; readonly what: string }>> = {
  // containers/crun, NEWS 1.14.1 and 1.15: not affected by CVE-2024-21626 itself. CVE-2025-31133, -52565 and -52881 do not concern it.
  crun: {
    releases: ["1.15"],
    what: "its checks against working directories and descriptors outside the container",
  },
  // opencontainers/runc, releases of 2025-11-05.
  runc: {
    releases: ["1.2.8", "1.3.3", "1.4.0"],
    what: "the fixes for CVE-2025-31133, CVE-2025-52565 and CVE-2025-52881",
  },
};

/** What a version of a runtime lacks, as a sentence for the log; undefined when nothing is known. */
export function missingFixes(name: string, version: string): string | undefined {
  const known = fixed[name];
  const have = numbers(version);
  if (!known || !have) return undefined;
  const releases = known.releases.map((text) => ({ text, parts: numbers(text) ?? [] }));
  const line = releases.find(({ parts }) => parts[0] === have[0] && parts[1] === have[1]);
  const newest = releases.at(-1);
  const wanted = line ?? newest;
  if (!wanted || compare(have, wanted.parts) >= 0) return undefined;
  return `${name} ${version} is older than ${wanted.text}, which has ${known.what}; a distribution may have put them into older versions (docs/security.md)`;
}

function numbers(version: string): readonly number[] | undefined {
  const match = /^(\d+)\.(\d+)(?:\.(\d+))?/.exec(version);
  return match ? [Number(match[1]), Number(match[2]), Number(match[3] ?? 0)] : undefined;
}

function compare(a: readonly number[], b: readonly number[]): number {
  for (let i = 0; i < 3; i++) {
    const difference = (a[i] ?? 0) - (b[i] ?? 0);
    if (difference !== 0) return difference;
  }
  return 0;
}
