import { afterAll, beforeAll, expect, test } from "bun:test";
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { eventually, run, TestDaemon } from "../harness/daemon.ts";
import { tryFetch } from "../harness/web.ts";

/**
 * Images that people build, on a Debian of Debian's packages: nginx, a Node application with a package of npm's, a static C program, and Tug's
 * own image from the Dockerfile of this repository.
 */
const repository = resolve(import.meta.dir, "../..");
const authorities = "/etc/ssl/certs/ca-certificates.crt";
/** The mirror this machine's own apt uses. */
const mirrorScript =
  "cat /etc/apt/sources.list /etc/apt/sources.list.d/* 2>/dev/null | sed -nE 's/^URIs: *([^ ]+).*/\\1/p; s/^deb (\\[[^]]*\\] )?([^ ]+).*/\\2/p' | head -1";
const mirror = (await run(["sh", "-c", mirrorScript])).stdout.trim() || "http://deb.debian.org/debian";

async function missing(): Promise<string | undefined> {
  if (!existsSync("/usr/sbin/debootstrap")) return "debootstrap is not installed";
  try {
    const reply = await fetch(`${mirror}/dists/bookworm/InRelease`, { signal: AbortSignal.timeout(20_000) });
    return reply.ok ? undefined : `${mirror} answers ${reply.status}`;
  } catch (error) {
    return `${mirror} cannot be reached: ${error}`;
  }
}
const reason = await missing();
if (reason) console.log(`skipped: real images on a real Debian: ${reason}`);

let daemon: TestDaemon;
let here = "";
beforeAll(async () => {
  if (reason) return;
  here = mkdtempSync("/tmp/tug-build-real-");
  daemon = await TestDaemon.start({ busybox: false });
  const base = ["image", "bootstrap", "--mirror", mirror, "-t", "debian:bookworm", "debian:bookworm"];
  await daemon.ok(base, { timeout: 500_000 });
}, 600_000);
afterAll(async () => {
  if (reason) return;
  rmSync(here, { recursive: true, force: true });
  await daemon?.close();
}, 300_000);

/** Builds a context of these files and says what it said. */
async function build(tag: string, files: Readonly<Record<string, string>>): Promise<string> {
  const context = join(here, tag);
  mkdirSync(context);
  for (const [name, text] of Object.entries(files)) writeFileSync(join(context, name), text);
  return await buildAt(tag, context);
}

async function buildAt(tag: string, context: string): Promise<string> {
  const secret = existsSync(authorities) ? ["--secret", `id=ca,src=${authorities}`] : [];
  const result = await daemon.tug(["build", "--progress", "plain", ...secret, "-t", tag, context], {
    timeout: 500_000,
  });
  if (result.code !== 0) throw new Error(`${result.stderr.slice(-4000)}\n${daemon.log.slice(-2000)}`);
  return result.stderr;
}

const install = (packages: string) =>
  `RUN apt-get update \\\n && apt-get install -y --no-install-recommends ${packages} \\\n && rm -rf /var/lib/apt/lists/*`;

test.skipIf(reason !== undefined)(
  "nginx serves what was copied into its image",
  async () => {
    const dockerfile = [
      "FROM debian:bookworm",
      install("nginx-light curl"),
      "COPY index.html /var/www/html/index.html",
      "EXPOSE 80",
      "HEALTHCHECK --interval=1s CMD curl -fs http://127.0.0.1/",
      "STOPSIGNAL SIGQUIT",
      'CMD ["nginx", "-g", "daemon off;"]',
    ];
    await build("nginx", { Dockerfile: dockerfile.join("\n"), "index.html": "it works\n" });
    await daemon.ok(["run", "-d", "--name", "web", "nginx"]);
    const address = await daemon.ok(["inspect", "-f", "{{.NetworkSettings.IPAddress}}", "web"]);
    await eventually("nginx answers", async () => (await tryFetch(`http://${address}/`)) === "it works\n");
    await eventually("it is healthy", async () => {
      return (await daemon.ok(["inspect", "-f", "{{.State.Health.Status}}", "web"])) === "healthy";
    });
    await daemon.ok(["rm", "-f", "web"]);
  },
  600_000,
);

test.skipIf(reason !== undefined)(
  "a static C program from a stage with gcc is all that its image holds",
  async () => {
    const dockerfile = [
      "FROM debian:bookworm AS compiler",
      install("gcc libc6-dev"),
      "WORKDIR /src",
      "COPY hello.c .",
      "RUN gcc -static -O2 -o /hello hello.c",
      "FROM scratch",
      "COPY --from=compiler /hello /hello",
      'ENTRYPOINT ["/hello"]',
    ];
    const source =
      '#include <stdio.h>\nint main(int n, char **v) { printf("hello %s\\n", n > 1 ? v[1] : "you"); return 0; }\n';
    await build("hello", { Dockerfile: dockerfile.join("\n"), "hello.c": source });
    expect(await daemon.ok(["run", "--rm", "hello", "world"])).toBe("hello world");
    const tar = await daemon.ok(["image", "inspect", "-f", "{{len .RootFS.Layers}} {{.Size}}", "hello"]);
    const [layers, size] = tar.split(" ").map(Number);
    expect(layers).toBe(1);
    expect(size).toBeLessThan(2_000_000);
  },
  600_000,
);

test.skipIf(reason !== undefined)(
  "Tug's own image holds Tug, and its tools' layer serves a Node application with a package of npm's",
  async () => {
    await buildAt("tug", repository);
    expect(await daemon.ok(["run", "--rm", "tug", "--version"])).toStartWith("Tug version");
    const dockerfile = [
      "FROM debian:bookworm",
      install("ca-certificates nodejs npm"),
      "WORKDIR /app",
      "COPY package.json .",
      "RUN --mount=type=secret,id=ca,target=/run/ca.pem \\",
      "    [ ! -s /run/ca.pem ] || export NODE_EXTRA_CA_CERTS=/run/ca.pem; npm install --no-audit --no-fund",
      "COPY app.js .",
      'CMD ["node", "app.js"]',
    ];
    const manifest = { name: "app", version: "1.0.0", dependencies: { "is-odd": "3.0.1" } };
    const said = await build("node", {
      Dockerfile: dockerfile.join("\n"),
      "package.json": JSON.stringify(manifest),
      "app.js": "console.log([1, 2, 3].filter(require('is-odd')).join(' '));\n",
    });
    // Tug's image has brought Node and npm in with the same instruction on the same base.
    expect(said).toMatch(/\[stage-0 2\/6\] RUN apt-get update[\s\S]*?\n#\d+ CACHED/);
    expect(await daemon.ok(["run", "--rm", "node"])).toBe("1 3");
    // The authorities were lent, not kept.
    expect((await daemon.tug(["run", "--rm", "node", "test", "-e", "/run/ca.pem"])).code).toBe(1);
  },
  600_000,
);
