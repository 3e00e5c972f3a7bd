import type { RawStream } from "../../../base/http/exchange.ts";
import { invalid } from "../../../base/lib/errors.ts";
import type { ByteStream } from "../../../base/rpc/bytes.ts";
import type { Metadata } from "../../../base/rpc/metadata.ts";
import { serveRpc } from "../../../base/rpc/server.ts";
import { sessionHeaders } from "../../../base/spec/buildkit/methods.ts";
import type { Call } from "../../call.ts";
import type { BuildkitDeps } from "./backend.ts";
import { Builds } from "./builds.ts";
import { controlServices } from "./control.ts";
import { bridgeServices, namedGateway } from "./gateway/bridge.ts";
import type { GatewayBuild } from "./gateway/build.ts";
import { throughFrontend } from "./gateway/frontend.ts";
import { buildBySession } from "./session/client-session.ts";
import type { SessionHello } from "./session/hello.ts";
import { Sessions } from "./session/sessions.ts";
import { Uploads } from "./session/uploads.ts";

/** What the routes of BuildKit's protocol do; apart from them so that it is loaded only when it is needed. */
export class BuildkitService {
  readonly #deps: BuildkitDeps;
  readonly #sessions: Sessions;
  readonly #builds: Builds;
  readonly #uploads: Uploads;
  readonly #gateways = new Map<string, GatewayBuild>();

  constructor(deps: BuildkitDeps) {
    this.#deps = deps;
    this.#sessions = new Sessions(deps);
    this.#builds = new Builds({
      ...deps,
      through: (build, use) => throughFrontend({ ...deps, builds: this.#builds }, build, use),
    });
    this.#uploads = new Uploads(deps);
  }

  /** POST /grpc: the client calls Control and LLBBridge. */
  async grpc(call: Call): Promise<void> {
    checkUpgrade(call);
    const deps = {
      ...this.#deps,
      builds: this.#builds,
      gateways: this.#gateways,
      sessions: this.#sessions,
    };
    const gateway = (metadata: Metadata, signal: AbortSignal) => namedGateway(deps, metadata, signal);
    const services = [...controlServices(deps), ...bridgeServices({ ...deps, gateway })];
    await hijacked(call, (bytes) => serveRpc(bytes, { services, log: deps.log }));
  }

  /** POST /session: the client is called. */
  async session(call: Call): Promise<void> {
    checkUpgrade(call);
    const hello = helloOf(call);
    this.#sessions.check(hello);
    await hijacked(call, (bytes) => this.#sessions.serve(hello, bytes));
  }

  /** POST /build?version=2 */
  async build(call: Call): Promise<void> {
    const [builds, sessions, uploads] = [this.#builds, this.#sessions, this.#uploads];
    await buildBySession(call, { builds, sessions, uploads });
  }

  cancel(ref: string): boolean {
    return this.#builds.cancel(ref);
  }
}

function checkUpgrade(call: Call): void {
  const protocol = call.exchange.headers.get("upgrade");
  if (protocol === undefined || protocol === "") throw invalid("no upgrade proto in request");
  if (protocol.toLowerCase() !== "h2c") throw invalid(`protocol ${protocol} not supported`);
}

function helloOf(call: Call): SessionHello {
  const field = (name: string) => call.exchange.headers.get(name.toLowerCase()) ?? "";
  return {
    id: field(sessionHeaders.id),
    name: field(sessionHeaders.name),
    sharedKey: field(sessionHeaders.sharedKey),
    // Repeated fields come joined; no method has a comma.
    methods: field(sessionHeaders.method)
      .split(",")
      .map((method) => method.trim())
      .filter((method) => method !== ""),
  };
}

/** Takes the connection over; it ends when `serve` does. */
async function hijacked(call: Call, serve: (bytes: ByteStream) => Promise<void>): Promise<void> {
  const stream = call.exchange.hijack(101, { Connection: "Upgrade", Upgrade: "h2c" });
  const over = Promise.withResolvers<void>();
  await Promise.race([serve(byteStream(stream, () => over.resolve())), over.promise]);
}

function byteStream(stream: RawStream, close: () => void): ByteStream {
  return {
    next: () => stream.next(),
    write: (bytes) => stream.write(bytes),
    end: close,
    close,
  };
}
