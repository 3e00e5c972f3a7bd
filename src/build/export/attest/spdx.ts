import { tugVersion } from "../../../base/lib/product.ts";
import { digestOfValue } from "../../canonical.ts";
import type { FoundPackage } from "./databases.ts";
import type { FoundPackages } from "./packages.ts";

export const spdxType = "https://spdx.dev/Document";

/** A bill of materials (SPDX 2.3, JSON). The same packages at the same time give the same document. */
export function spdxDocument(
  name: string,
  { distribution, release, packages }: FoundPackages,
  /** Milliseconds since the epoch. */
  created: number,
): object {
  const listed = packages.map((found, index) => spdxPackage(found, index, { distribution, release }));
  const id = digestOfValue({ name, packages, created }).slice("sha256:".length);
  const relationships = listed.map(({ SPDXID }) => ({
    spdxElementId: "SPDXRef-DOCUMENT",
    relationshipType: "DESCRIBES",
    relatedSpdxElement: SPDXID,
  }));
  return {
    spdxVersion: "SPDX-2.3",
    dataLicense: "CC0-1.0",
    SPDXID: "SPDXRef-DOCUMENT",
    name,
    documentNamespace: `https://spdx.org/spdxdocs/${encodeURIComponent(name)}-${id}`,
    creationInfo: {
      creators: [`Tool: tug-${tugVersion}`],
      created: new Date(created).toISOString().replace(/\.\d+Z$/, "Z"),
    },
    packages: listed,
    relationships,
  };
}

function spdxPackage(
  found: FoundPackage,
  index: number,
  system: { readonly distribution: string; readonly release: string },
) {
  const id = `${found.kind}-${found.name}-${index}`.replace(/[^A-Za-z0-9.-]/g, "-");
  return {
    name: found.name,
    SPDXID: `SPDXRef-Package-${id}`,
    versionInfo: found.version,
    supplier: supplierOf(found.supplier),
    downloadLocation: "NOASSERTION",
    filesAnalyzed: false,
    sourceInfo: `acquired package info from: ${found.source}`,
    licenseConcluded: "NOASSERTION",
    // A text that is no SPDX expression would make the document invalid.
    licenseDeclared: /^[A-Za-z0-9.+-]+(?: (?:AND|OR|WITH) [A-Za-z0-9.+-]+)*$/.test(found.license)
      ? found.license
      : "NOASSERTION",
    copyrightText: "NOASSERTION",
    externalRefs: [
      {
        referenceCategory: "PACKAGE-MANAGER",
        referenceType: "purl",
        referenceLocator: packageUrl(found, system),
      },
    ],
  };
}

/** "Name <mail>" is a person for SPDX. */
function supplierOf(text: string): string {
  if (text === "") return "NOASSERTION";
  const match = /^(.*?)\s*<([^>]+)>$/.exec(text);
  return match ? `Person: ${match[1]} (${match[2]})` : `Organization: ${text}`;
}

/** purl-spec: the distribution is the namespace of deb, apk and rpm; rpm's epoch is no part of the version there. */
function packageUrl(
  { kind, name, version, architecture }: FoundPackage,
  { distribution, release }: { readonly distribution: string; readonly release: string },
): string {
  const part = encodeURIComponent;
  if (kind === "npm") {
    const path = name.split("/").map(part).join("/");
    return `pkg:npm/${path}@${part(version)}`;
  }
  const epoch = kind === "rpm" ? /^(\d+):/.exec(version)?.[1] : undefined;
  const bare = epoch === undefined ? version : version.slice(epoch.length + 1);
  const qualifiers = [
    ...(architecture === "" ? [] : [`arch=${part(architecture)}`]),
    ...(distribution === ""
      ? []
      : [`distro=${part(`${distribution}${release === "" ? "" : `-${release}`}`)}`]),
    ...(epoch === undefined ? [] : [`epoch=${epoch}`]),
  ];
  const query = qualifiers.length === 0 ? "" : `?${qualifiers.join("&")}`;
  return `pkg:${kind}/${part(distribution || "linux")}/${part(name)}@${part(bare)}${query}`;
}
