import { notFound } from "../../base/lib/errors.ts";
import { first, type Metadata } from "../../base/rpc/metadata.ts";
import { bidi, type Service } from "../../base/rpc/server.ts";
import { receivingMethod } from "../../base/rpc/tree/packet.ts";
import { receiveTree } from "../../base/rpc/tree/receive.ts";
import { FileSend, fileKeys } from "../../base/spec/buildkit/methods.ts";
import { DirectoryTarget } from "./directory-target.ts";

/** Where one `--output` of the client's goes. */
export type OutputTarget =
  /** A tree: type=local. What is there stays, unless the output has an entry of that name. */
  | { readonly kind: "directory"; readonly path: string }
  /** One stream of bytes: type=tar, oci, docker. `attributes`: what the exporter says of it. */
  | {
      readonly kind: "file";
      write(bytes: AsyncIterable<Uint8Array>, attributes: Readonly<Record<string, string>>): Promise<void>;
    };

/** Takes outputs, by exporter id: its place in SolveRequest.exporters, "0" for the only one. */
export function takeOutputs(targets: Readonly<Record<string, OutputTarget>>): Service {
  return {
    path: FileSend.bytes.path,
    serve: async (http, metadata) => {
      const id = first(metadata, fileKeys.exporter) ?? "0";
      const target = Object.hasOwn(targets, id) ? targets[id] : undefined;
      const service =
        target?.kind === "directory"
          ? bidi(receivingMethod(FileSend.tree), async (stream) => {
              using into = new DirectoryTarget(target.path);
              await receiveTree(stream, into);
            })
          : bidi(FileSend.bytes, async (stream) => {
              if (!target) throw notFound(`exporter ${id} not found`);
              await target.write(bytesOf(stream), attributesOf(metadata));
            });
      await service.serve(http, metadata);
    },
  };
}

async function* bytesOf(stream: {
  next(): Promise<{ data: Uint8Array } | undefined>;
}): AsyncGenerator<Uint8Array, void, void> {
  for (let m = await stream.next(); m !== undefined; m = await stream.next()) yield m.data;
}

function attributesOf(metadata: Metadata): Record<string, string> {
  const out: Record<string, string> = {};
  for (const [name, values] of Object.entries(metadata)) {
    if (name.startsWith(fileKeys.exporterMeta))
      out[name.slice(fileKeys.exporterMeta.length)] = values.join(",");
  }
  return out;
}
