import type { ImageDocument } from "../../base/spec/oci/parse.ts";
import { manifestLimit, parseImageDocument } from "../../base/spec/oci/parse.ts";
import { formatPlatform } from "../../base/spec/oci/platform.ts";
import { parseManifestReference, type RepositoryName } from "../names.ts";
import type { Parts } from "../parts.ts";
import { listRepositories, listTags } from "../records/listings.ts";
import { type ManifestRecord, manifestByDigest, manifestByTag, referrersOf } from "../records/manifests.ts";
import { type Call, type Route, repositoryOf } from "../routes/route.ts";
import { SpecError } from "../spec-error.ts";
import { type Html, html } from "./html.ts";
import { page, pageHeaders, size, stylesheet, when } from "./layout.ts";

const perPage = 100;

/** Pages for people: repositories, their tags, and what an image is made of. Each reads records; nothing is kept for them. */
export function pageRoutes(parts: Parts): readonly Route[] {
  const get = (pattern: string, run: (call: Call) => Promise<void> | void): Route => ({
    method: "GET",
    pattern,
    name: "page",
    action: undefined,
    run: async (call) => await run(call),
  });
  return [
    get("/", (call) => repositories(parts, call)),
    get("/pages/style.css", (call) =>
      call.exchange.send(200, { "Content-Type": "text/css", "Cache-Control": "max-age=3600" }, stylesheet),
    ),
    get("/pages/tags/{name...}", (call) => tags(parts, call)),
    get("/pages/image/{reference}/{name...}", (call) => image(parts, call)),
  ];
}

function repositories(parts: Parts, call: Call): void {
  guard(parts, call);
  const match = (call.query.get("q") ?? "").slice(0, 255);
  const last = call.query.get("last") ?? "";
  const { found, next } = listRepositories(parts.records, { last, limit: perPage, match }, (name) =>
    call.identity.sees(name),
  );
  const rows = found.map(
    (
      each,
    ) => html`<tr><td><a href="/pages/tags/${each.name}">${each.name}</a></td><td>${each.description}</td>
      <td class="n">${size(each.bytes)}</td><td class="n">${when(each.updated)}</td></tr>`,
  );
  const more = new URLSearchParams({ q: match, last: next ?? "" }).toString();
  send(
    call,
    "Repositories",
    html`<form><input name="q" value="${match}" placeholder="part of a name"> <button>Search</button></form>
      ${table(["Name", "Description", "Size", "Updated"], rows)}
      ${next === undefined ? "" : html`<p><a href="/?${more}">More</a></p>`}`,
  );
}

function tags(parts: Parts, call: Call): void {
  const name = visible(parts, call);
  const last = call.query.get("last") ?? "";
  const found = listTags(parts.records, name, { last, limit: perPage + 1 });
  if (!found) throw new SpecError("NAME_UNKNOWN", "repository name not known to registry");
  const shown = found.slice(0, perPage);
  const rows = shown.map((each) => {
    const manifest = manifestByDigest(parts.records, name, each.digest);
    return html`<tr><td><a href="/pages/image/${each.name}/${name}">${each.name}</a></td>
      <td><code>${each.digest}</code></td><td>${manifest?.mediaType ?? ""}</td><td class="n">${when(each.updated)}</td></tr>`;
  });
  const next = new URLSearchParams({ last: shown.at(-1)?.name ?? "" }).toString();
  send(
    call,
    name,
    html`${table(["Tag", "Digest", "Type", "Updated"], rows)}
      ${found.length > perPage ? html`<p><a href="/pages/tags/${name}?${next}">More</a></p>` : ""}`,
  );
}

async function image(parts: Parts, call: Call): Promise<void> {
  const name = visible(parts, call);
  const reference = parseManifestReference(call.params["reference"] ?? "");
  const manifest =
    reference.kind === "digest"
      ? manifestByDigest(parts.records, name, reference.digest)
      : manifestByTag(parts.records, name, reference.tag);
  if (!manifest) throw new SpecError("MANIFEST_UNKNOWN", "manifest unknown to registry");
  const document = parseImageDocument(
    await parts.storage.read(manifest.digest, manifestLimit),
    manifest.mediaType,
  );
  const label = reference.kind === "digest" ? reference.digest : reference.tag;
  send(
    call,
    `${name} ${label}`,
    html`${facts(manifest, document)}${contents(name, document)}${referrers(parts, name, manifest)}`,
  );
}

/** What a page shows of one annotation, which may be as long as a manifest. */
const valueLimit = 1000;

function facts(manifest: ManifestRecord, document: ImageDocument): Html {
  const annotated =
    document.kind === "index" ? document.index : document.kind === "manifest" ? document.manifest : undefined;
  const annotations = Object.entries(annotated?.annotations ?? {}).map(
    ([key, value]) =>
      html`<tr><td>${key}</td><td>${value.length > valueLimit ? `${value.slice(0, valueLimit)}…` : value}</td></tr>`,
  );
  return html`<p><code>${manifest.digest}</code><br>${manifest.mediaType}, ${size(manifest.size)}, pushed ${when(manifest.pushed)}</p>
    ${annotations.length === 0 ? "" : table(["Annotation", "Value"], annotations)}`;
}

function contents(name: RepositoryName, document: ImageDocument): Html {
  if (document.kind === "index") {
    const rows = document.index.manifests.map(
      (each) => html`<tr><td>${each.platform ? formatPlatform(each.platform) : (each.artifactType ?? "")}</td>
        <td><a href="/pages/image/${each.digest}/${name}"><code>${each.digest}</code></a></td><td class="n">${size(each.size)}</td></tr>`,
    );
    return html`<h2>Manifests</h2>${table(["Platform", "Digest", "Size"], rows)}`;
  }
  if (document.kind !== "manifest") return html``;
  const { config, layers } = document.manifest;
  const rows = [config, ...layers].map(
    (
      each,
      index,
    ) => html`<tr><td class="n">${index === 0 ? "config" : index}</td><td><code>${each.digest}</code></td>
      <td>${each.mediaType}</td><td class="n">${size(each.size)}</td></tr>`,
  );
  const total = layers.reduce((sum, each) => sum + each.size, 0);
  return html`<h2>Layers, ${size(total)}</h2>${table(["", "Digest", "Type", "Size"], rows)}`;
}

function referrers(parts: Parts, name: RepositoryName, manifest: ManifestRecord): Html {
  const found = referrersOf(parts.records, name, manifest.digest, {
    artifactType: undefined,
    last: "",
    limit: perPage,
  });
  const rows = found.map(
    (each) => html`<tr><td>${each.artifactType}</td>
      <td><a href="/pages/image/${each.digest}/${name}"><code>${each.digest}</code></a></td></tr>`,
  );
  return rows.length === 0 ? html`` : html`<h2>Referrers</h2>${table(["Type", "Digest"], rows)}`;
}

function table(heads: readonly string[], rows: readonly Html[]): Html {
  if (rows.length === 0) return html`<p class="none">Nothing here.</p>`;
  const numeric = new Set(["Size", "Updated", ""]);
  return html`<table><thead><tr>${heads.map((head) =>
    numeric.has(head) ? html`<th class="n">${head}</th>` : html`<th>${head}</th>`,
  )}</tr></thead><tbody>${rows}</tbody></table>`;
}

/** The repository of the path, if the visitor may see it; what they may not see does not exist for them. */
function visible(parts: Parts, call: Call): RepositoryName {
  const name = repositoryOf(call);
  if (call.identity.sees(name)) return name;
  guard(parts, call, true);
  throw new SpecError("NAME_UNKNOWN", "repository name not known to registry");
}

/** Asks a visitor for a password where there are passwords, unless they gave one; always, when they want what is not for everybody. */
function guard(parts: Parts, call: Call, always = false): void {
  const { visitors, browserChallenge } = parts.access;
  if (call.identity.proven || (visitors && !always)) return;
  throw new SpecError("UNAUTHORIZED", "authentication required", undefined, {
    ...(browserChallenge !== undefined && { headers: { "WWW-Authenticate": browserChallenge } }),
  });
}

function send(call: Call, title: string, content: Html): void {
  call.exchange.send(200, pageHeaders, page(title, content));
}
