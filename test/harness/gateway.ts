import type { RpcClient } from "../../src/base/rpc/client.ts";
import type { Method } from "../../src/base/rpc/method.ts";
import { SolveRequest } from "../../src/base/spec/buildkit/control.gen.ts";
import * as gateway from "../../src/base/spec/buildkit/gateway.gen.ts";
import { buildIdKey, Control, LlbBridge } from "../../src/base/spec/buildkit/methods.ts";
import type { Definition } from "../../src/base/spec/buildkit/pb.gen.ts";
import { openBuilder } from "../../src/client/build/connect.ts";
import { lendFiles, lendSecrets } from "../../src/client/build/lend.ts";
import { type OutputTarget, takeOutputs } from "../../src/client/build/outputs.ts";
import { newBuildId, openSession } from "../../src/client/build/session.ts";
import { Client } from "../../src/client/client.ts";

type Exporters = readonly { readonly type: string; readonly attrs: Record<string, string> }[];

/** What a build's client lends and wants. */
export interface GatewayOptions {
  /** By name: "context", "dockerfile". */
  readonly directories?: Readonly<Record<string, string>>;
  readonly secrets?: Readonly<Record<string, string>>;
  readonly exporters?: Exporters;
  readonly outputs?: Readonly<Record<string, OutputTarget>>;
  readonly entitlements?: readonly string[];
}

/** A client of BuildKit's protocol that drives its builds itself, as buildx does and whoever makes LLB. */
export class GatewayClient implements AsyncDisposable {
  readonly #client: Client;
  readonly #rpc: RpcClient;

  private constructor(client: Client, rpc: RpcClient) {
    this.#client = client;
    this.#rpc = rpc;
  }

  static async open(socket: string): Promise<GatewayClient> {
    const client = new Client({ address: { kind: "unix", path: socket, text: `unix://${socket}` } });
    return new GatewayClient(client, await openBuilder(client));
  }

  /** A build that `work` drives; what it returns is what is exported. Gives what the exporters said. */
  async drive(
    options: GatewayOptions,
    work: (build: DrivenBuild) => Promise<Partial<gateway.Result>>,
  ): Promise<Readonly<Record<string, string>>> {
    return await this.#order(options, {}, async (ref, ordered) => {
      const build = new DrivenBuild(this.#rpc, ref);
      const result = await Promise.race([work(build), ordered]);
      await build.return(result);
    });
  }

  /** What a frontend's image (attribute "source") makes of it. */
  async build(
    options: GatewayOptions,
    frontendAttrs: Readonly<Record<string, string>>,
    signal?: AbortSignal,
  ): Promise<Readonly<Record<string, string>>> {
    const fields = { frontend: "gateway.v0", frontendAttrs: { ...frontendAttrs } };
    return await this.#order(options, fields, async () => undefined, signal);
  }

  /** A definition as it is, without a gateway. */
  async solve(options: GatewayOptions, definition: Definition): Promise<Readonly<Record<string, string>>> {
    return await this.#order(options, { definition }, async () => undefined);
  }

  async #order(
    { directories = {}, secrets = {}, exporters = [], outputs = {}, entitlements = [] }: GatewayOptions,
    fields: Partial<SolveRequest>,
    work: (ref: string, ordered: Promise<never>) => Promise<void>,
    signal?: AbortSignal,
  ): Promise<Readonly<Record<string, string>>> {
    const lent = Object.entries(directories).map(([name, path]) => [name, { path }] as const);
    await using session = await openSession(this.#client, {
      services: [
        lendFiles({ directories: Object.fromEntries(lent) }),
        lendSecrets(async (id) => (id in secrets ? Buffer.from(secrets[id] ?? "") : undefined)),
        takeOutputs(outputs),
      ],
    });
    const ref = newBuildId();
    const order = SolveRequest.create({
      ref,
      session: session.id,
      exporters: [...exporters],
      entitlements: [...entitlements],
    });
    const driven = this.#rpc.call(Control.solve, { ...order, ...fields }, { signal });
    const ordered = driven.then(() => new Promise<never>(() => undefined)); // only its failure counts
    ordered.catch(() => undefined); // raced
    await work(ref, ordered);
    return (await driven).exporterResponse;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#rpc[Symbol.asyncDispose]();
    this.#client.close();
  }
}

/** A build under way. */
export class DrivenBuild {
  readonly #rpc: RpcClient;
  readonly #metadata: Record<string, string[]>;

  constructor(rpc: RpcClient, ref: string) {
    this.#rpc = rpc;
    this.#metadata = { [buildIdKey]: [ref] };
  }

  async solve(fields: Partial<gateway.SolveRequest>): Promise<gateway.Result> {
    const request = gateway.SolveRequest.create({ allowResultReturn: true, allowResultArrayRef: true });
    const { result } = await this.#call(LlbBridge.solve, { ...request, ...fields });
    if (!result) throw new Error("no result");
    return result;
  }

  async evaluate(ref: string): Promise<void> {
    await this.#call(LlbBridge.evaluate, { ref });
  }

  async readFile(ref: string, filePath: string, range?: gateway.FileRange): Promise<string> {
    const { data } = await this.#call(LlbBridge.readFile, { ref, filePath, range });
    return Buffer.from(data).toString();
  }

  async readDir(ref: string, dirPath: string, includePattern = "") {
    return (await this.#call(LlbBridge.readDir, { ref, dirPath, includePattern })).entries;
  }

  async stat(ref: string, path: string) {
    return (await this.#call(LlbBridge.statFile, { ref, path })).stat;
  }

  async image(reference: string): Promise<gateway.ResolveImageConfigResponse> {
    return await this.#call(
      LlbBridge.resolveImageConfig,
      gateway.ResolveImageConfigRequest.create({ ref: reference }),
    );
  }

  async return(result: Partial<gateway.Result>): Promise<void> {
    await this.#call(LlbBridge.return, gateway.ReturnRequest.create({ result }));
  }

  async #call<I, O>(method: Method<I, O>, request: I): Promise<O> {
    return await this.#rpc.call(method, request, { metadata: this.#metadata });
  }
}
