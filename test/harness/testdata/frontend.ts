import { readdirSync, readFileSync } from "node:fs";
import type { ByteStream } from "../../../src/base/rpc/bytes.ts";
import { openRpc, type RpcClient } from "../../../src/base/rpc/client.ts";
import * as gateway from "../../../src/base/spec/buildkit/gateway.gen.ts";
import { LlbBridge } from "../../../src/base/spec/buildkit/methods.ts";
import { Llb } from "../llb.ts";

/**
 * A frontend as BuildKit has them, for tests: reads a file of commands out of the client's directory and has each run, on busybox. What its attribute
 * "mode" says it does instead.
 */
const attrs = new Map(
  Object.entries(process.env).flatMap(([name, value = ""]) => {
    if (!name.startsWith("BUILDKIT_FRONTEND_OPT_")) return [];
    const at = value.indexOf("=");
    return [[value.slice(0, at), value.slice(at + 1)] as const];
  }),
);

function standardStreams(): ByteStream {
  const input = Bun.stdin.stream().getReader();
  const output = Bun.stdout.writer();
  return {
    next: async () => (await input.read()).value,
    write: async (bytes) => {
      output.write(bytes);
      await output.flush();
    },
    end: () => undefined,
    close: () => undefined,
  };
}

const solve = async (rpc: RpcClient, fields: Partial<gateway.SolveRequest>) => {
  const base = gateway.SolveRequest.create({ allowResultReturn: true, allowResultArrayRef: true });
  const { result } = await rpc.call(LlbBridge.solve, { ...base, ...fields });
  return result ?? gateway.Result.create({});
};

async function plan(rpc: RpcClient): Promise<gateway.Result> {
  const mode = attrs.get("mode") ?? "";
  const llb = new Llb();
  if (mode === "nested") return await solve(rpc, { frontend: "gateway.v0", frontendOpt: Object.fromEntries(attrs) });
  if (mode === "dockerfile") return await solve(rpc, { frontend: "dockerfile.v0", frontendOpt: {} });
  if (mode === "host") return await solve(rpc, { definition: llb.definition(llb.shell(llb.image("busybox"), "true", { exec: { network: 1 } })), evaluate: true });
  const local = llb.source("local://context", { "local.session": process.env["BUILDKIT_SESSION_ID"] ?? "" });
  const read = await solve(rpc, { definition: llb.definition(local) });
  const file = { ref: read.ref?.id ?? "", filePath: attrs.get("filename") ?? "Buildfile", range: undefined };
  const { data } = await rpc.call(LlbBridge.readFile, file);
  let root = llb.image("busybox");
  for (const line of Buffer.from(data).toString().split("\n")) if (line !== "") root = llb.shell(root, line);
  const made = await solve(rpc, { definition: llb.definition(root) });
  const seen = {
    interfaces: readdirSync("/sys/class/net"),
    capabilities: /^CapEff:\s*(\w+)/m.exec(readFileSync("/proc/self/status", "utf8"))?.[1],
    workers: JSON.parse(process.env["BUILDKIT_WORKERS"] ?? "[]").length,
  };
  const config = { os: "linux", architecture: "amd64", config: { Cmd: ["cat", "/made"], Labels: { seen: JSON.stringify(seen) } } };
  return { ...made, metadata: { "containerimage.config": Buffer.from(JSON.stringify(config)) } };
}

const mode = attrs.get("mode");
if (mode === "exit") process.exit(3);
if (mode === "silent") process.exit(0);
if (mode === "garbage") {
  process.stdout.write("this is not HTTP/2\n".repeat(1000));
  process.exit(0);
}
if (mode === "hang") {
  process.stderr.write("hanging\n");
  await new Promise(() => setInterval(() => undefined, 1000));
}
const rpc = openRpc(standardStreams());
let answer: Partial<gateway.ReturnRequest>;
try {
  if (attrs.get("requestid")) answer = { result: gateway.Result.create({ metadata: { "result.txt": Buffer.from("asked\n") } }) };
  else answer = { result: await plan(rpc) };
} catch (error) {
  const message = error instanceof Error ? error.message : String(error);
  answer = { error: { code: 2, message: `frontend: ${message}`, details: [] } };
}
await rpc.call(LlbBridge.return, gateway.ReturnRequest.create(answer));
process.exit(0);
