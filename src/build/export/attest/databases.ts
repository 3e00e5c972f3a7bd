/** Something that is installed in a tree. */
export interface FoundPackage {
  readonly kind: "deb" | "apk" | "rpm" | "npm";
  readonly name: string;
  readonly version: string;
  readonly architecture: string;
  /** As the database has it; "" where it says nothing. */
  readonly license: string;
  readonly supplier: string;
  /** File that tells of it. */
  readonly source: string;
}

/** /var/lib/dpkg/status (dpkg(1), "FILES"): paragraphs of "Field: value", of which only what is installed counts. */
export function dpkgPackages(text: string, source: string): readonly FoundPackage[] {
  return paragraphs(text).flatMap((lines): readonly FoundPackage[] => {
    const fields = new Map<string, string>();
    for (const line of lines) {
      const match = /^([A-Za-z0-9-]+):\s*(.*)$/.exec(line);
      if (match?.[1] !== undefined) fields.set(match[1].toLowerCase(), match[2] ?? "");
    }
    const [name, version] = [fields.get("package"), fields.get("version")];
    const status = fields.get("status");
    if (!name || !version || (status !== undefined && !/\sinstalled$/.test(status))) return [];
    const architecture = fields.get("architecture") ?? "";
    return [
      {
        kind: "deb",
        name,
        version,
        architecture,
        license: "",
        supplier: fields.get("maintainer") ?? "",
        source,
      },
    ];
  });
}

/** apk's installed database (apk-tools, "APKINDEX format"): paragraphs of "P:name", "V:version", … */
export function apkPackages(text: string, source: string): readonly FoundPackage[] {
  return paragraphs(text).flatMap((lines): readonly FoundPackage[] => {
    const fields = new Map(lines.map((line) => [line.slice(0, 1), line.slice(2)] as const));
    const [name, version] = [fields.get("P"), fields.get("V")];
    if (!name || !version) return [];
    const architecture = fields.get("A") ?? "";
    const [license, supplier] = [fields.get("L") ?? "", fields.get("m") ?? ""];
    return [{ kind: "apk", name, version, architecture, license, supplier, source }];
  });
}

/** package.json of an installed package. */
export function npmPackage(text: string, source: string): FoundPackage | undefined {
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch {
    return undefined; // a file of that name that is none of npm's
  }
  if (typeof parsed !== "object" || parsed === null) return undefined;
  const { name, version, license } = parsed as Record<string, unknown>;
  if (typeof name !== "string" || typeof version !== "string" || name === "" || version === "")
    return undefined;
  const told = typeof license === "string" ? license : "";
  return { kind: "npm", name, version, architecture: "", license: told, supplier: "", source };
}

function paragraphs(text: string): readonly (readonly string[])[] {
  return text
    .split(/\n(?:[ \t]*\n)+/)
    .map((part) => part.split("\n").filter((line) => line !== ""))
    .filter((lines) => lines.length > 0);
}
