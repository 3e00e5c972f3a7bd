import { existsSync } from "node:fs";
import { invalid, notFound, TugError } from "../../base/lib/errors.ts";
import type { ImageBootstrapRequest } from "../../base/spec/docker/extensions.ts";
import type { ProgressMessage } from "../../base/spec/docker/progress.ts";
import { familiarString, parseReference, withDefaultTag } from "../../base/spec/docker/reference.ts";
import type { Platform } from "../../base/spec/oci/descriptor.ts";
import type { ImageConfig } from "../../base/spec/oci/image.ts";
import { formatPlatform } from "../../base/spec/oci/platform.ts";
import { type BootstrapOptions, runsForeign } from "../../core/image/bootstrap/debootstrap.ts";
import type { BootstrapReport } from "../../core/image/bootstrap/protocol.ts";
import { keyringPackage, knownSuites, nearest, type Suite } from "../../core/image/bootstrap/suites.ts";
import type { ImageServiceDeps } from "./deps.ts";
import { publishImage } from "./events.ts";
import { platformOption } from "./platform-option.ts";
import { ProgressQueue } from "./progress.ts";

const variants: ReadonlySet<string> = new Set(["minbase", "buildd", "standard"]);

/** Debian's names of architectures and QEMU's, by the image-spec's. */
const architectures: Readonly<Record<string, readonly [debian: string, qemu: string]>> = {
  "linux/386": ["i386", "i386"],
  "linux/amd64": ["amd64", "x86_64"],
  "linux/arm/v5": ["armel", "arm"],
  "linux/arm/v7": ["armhf", "arm"],
  "linux/arm64": ["arm64", "aarch64"],
  "linux/mips64le": ["mips64el", "mips64el"],
  "linux/ppc64le": ["ppc64el", "ppc64le"],
  "linux/riscv64": ["riscv64", "riscv64"],
  "linux/s390x": ["s390x", "s390x"],
};

/**
 * A base image from a distributor's signed packages: debootstrap makes its root file system, which becomes the only layer. The same
 * packages give the same image, bit for bit. One at a time; the packages are kept for the next.
 */
export async function* bootstrapImage(
  deps: ImageServiceDeps,
  request: ImageBootstrapRequest,
  signal: AbortSignal,
): AsyncGenerator<ProgressMessage> {
  const suite = findSuite(request.Image);
  const name = familiarString(
    withDefaultTag(parseReference(request.Tag || `${suite.distribution}:${suite.name}`)),
  );
  const platform = platformOption(deps, request.Platform) ?? deps.platform;
  const options = checkedOptions(request, suite, platform, deps.platform);
  yield {
    status: `Bootstrapping from ${options.mirror ?? `${suite.distribution}'s packages`}`,
    id: suite.name,
  };
  const queue = new ProgressQueue();
  yield* queue.drain(
    deps.locks.run("bootstrap", async () => {
      const take = async (
        layer: ReadableStream<Uint8Array>,
        tree: Extract<BootstrapReport, { kind: "tree" }>,
      ) => {
        const comment = `${suite.distribution} ${suite.name} by debootstrap`;
        const config = configOf(platform, suite, tree, comment);
        return await deps.archives.import(layer, config, name, comment, signal);
      };
      const id = await deps.bootstrap.run(options, { take, onReport: shower(queue) }, signal);
      publishImage(deps, "tag", deps.images.get(id), name);
      publishImage(deps, "import", deps.images.get(id), id);
      queue.push({ status: `Image: ${id}` });
      queue.push({ status: `Status: Bootstrapped ${name}` });
    }),
  );
}

/** Tells of each step once as a line, which is what shows where bars are not, and then of its counts. */
function shower(queue: ProgressQueue): (report: BootstrapReport) => void {
  const begun = new Set<string>();
  return (report) => {
    if (report.kind === "tree") queue.push({ id: "image", status: "Storing", progressDetail: {} });
    if (report.kind !== "step") return;
    const { step: id, text: status, current, total, units } = report;
    if (!begun.has(status)) queue.push({ id, status, progressDetail: {} });
    begun.add(status);
    if (current === undefined || total === undefined) return;
    queue.push({ id, status, progressDetail: { current, total, ...(units ? { units } : {}) } });
  };
}

/** "debian:bookworm"; a distribution alone means its stable suite, if it has one of that name. */
function findSuite(image: string): Suite {
  const match = /^([a-z0-9]+)(?::([A-Za-z0-9._-]+))?$/.exec(image);
  if (!match)
    throw invalid(
      `invalid name ${JSON.stringify(image)}: it must be DISTRIBUTION:SUITE, like debian:bookworm`,
    );
  const [, distribution = "", word = "stable"] = match;
  const suites = knownSuites();
  if (suites.length === 0) {
    throw new TugError(
      "not-implemented",
      "the daemon's host lacks the program debootstrap: install the package debootstrap there (Debian and Ubuntu: apt-get install debootstrap)",
    );
  }
  const own = suites.filter((suite) => suite.distribution === distribution);
  if (own.length === 0) {
    const names = [...new Set(suites.map((suite) => suite.distribution))];
    throw notFound(
      `unknown distribution ${distribution}${meant(distribution, names)}; known: ${names.join(", ")}`,
    );
  }
  const found = own.find((suite) => suite.name === word);
  if (found) return found;
  const names = own.map((suite) => suite.name);
  throw notFound(`unknown suite ${word} of ${distribution}${meant(word, names)}; known: ${names.join(", ")}`);
}

function meant(word: string, names: readonly string[]): string {
  const near = nearest(word, names);
  return near === undefined ? "" : `: did you mean ${near}?`;
}

/** debootstrap is a shell script: only words that mean nothing to a shell reach it. */
function checkedOptions(
  request: ImageBootstrapRequest,
  suite: Suite,
  platform: Platform,
  host: Platform,
): BootstrapOptions {
  const variant = request.Variant || "minbase";
  if (!variants.has(variant))
    throw invalid(`invalid variant ${JSON.stringify(variant)}: must be one of ${[...variants].join(", ")}`);
  const words = (what: string, list: readonly string[] = []) => {
    for (const word of list)
      if (!/^[a-z0-9][a-z0-9+.-]*$/.test(word)) throw invalid(`invalid ${what} ${JSON.stringify(word)}`);
    return list;
  };
  const architecture = architectureOf(platform, host);
  const mirror = request.Mirror || suite.mirror?.(architecture.architecture);
  if (mirror !== undefined && !/^(https?:\/\/[A-Za-z0-9]|file:\/\/\/)[A-Za-z0-9._~:/@%+[\]-]*$/.test(mirror))
    throw invalid(
      `invalid mirror ${JSON.stringify(mirror)}: it must be an http:// or https:// URL, or a file:// one`,
    );
  const epoch = request.SourceDateEpoch;
  if (epoch !== undefined && !(Number.isSafeInteger(epoch) && epoch >= 0))
    throw invalid(`invalid SOURCE_DATE_EPOCH ${epoch}: it must be seconds since 1970`);
  return {
    distribution: suite.distribution,
    suite: suite.name,
    script: suite.script,
    mirror,
    variant: variant === "standard" ? "" : variant,
    include: words("package name", request.Include),
    components: words("component", request.Components),
    keyring: keyringOf(request, suite),
    ...architecture,
    epoch,
  };
}

function keyringOf(request: ImageBootstrapRequest, suite: Suite): string | Uint8Array | undefined {
  if (request.NoCheckSignature) return undefined;
  if (request.Keyring) return Buffer.from(request.Keyring, "base64");
  if (existsSync(suite.keyring)) return suite.keyring;
  throw new TugError(
    "not-implemented",
    `the keyring of ${suite.distribution} ${suite.name} is not on the daemon's host (${suite.keyring}): install the package ${keyringPackage(suite.distribution)} there, or name the keyring with --keyring`,
  );
}

function architectureOf(platform: Platform, host: Platform) {
  const text = formatPlatform(platform);
  const [debian, qemu] = architectures[text] ?? [];
  if (debian === undefined || qemu === undefined)
    throw invalid(
      `no packages for platform ${text}: must be one of ${Object.keys(architectures).join(", ")}`,
    );
  const native =
    formatPlatform(host) === text || (host.architecture === "amd64" && platform.architecture === "386");
  if (!native && !runsForeign(qemu)) {
    throw new TugError(
      "not-implemented",
      `programs of ${text} do not run on the daemon's host: install the packages qemu-user-static and binfmt-support there`,
    );
  }
  return { architecture: debian };
}

/** As the distributors' own images have it. */
function configOf(
  platform: Platform,
  suite: Suite,
  tree: Extract<BootstrapReport, { kind: "tree" }>,
  comment: string,
): ImageConfig {
  const created = new Date(tree.epoch * 1000).toISOString().replace(".000Z", "Z");
  const prefix = "org.opencontainers.image";
  return {
    created,
    architecture: platform.architecture,
    os: platform.os,
    ...(platform.variant === undefined ? {} : { variant: platform.variant }),
    config: {
      Cmd: ["bash"],
      Env: ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"],
      Labels: {
        [`${prefix}.created`]: created,
        [`${prefix}.description`]: comment,
        [`${prefix}.title`]: suite.distribution,
        [`${prefix}.version`]: tree.version || suite.name,
      },
    },
    rootfs: { type: "layers", diff_ids: [] },
    history: [],
  };
}
