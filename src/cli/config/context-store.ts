import { createHash } from "node:crypto";
import { invalid, messageOf } from "../../base/lib/errors.ts";
import type { TlsOptions } from "../../client/address.ts";

/** What a Docker context says about reaching its daemon. */
export interface ContextEndpoint {
  readonly host: string;
  readonly tls: TlsOptions | undefined;
}

/** Reads a context of Docker's store: <folder>/contexts/meta/<sha256 of the name>/meta.json and its TLS files. */
export async function readContext(folder: string, name: string): Promise<ContextEndpoint> {
  const id = createHash("sha256").update(name).digest("hex");
  const file = Bun.file(`${folder}/contexts/meta/${id}/meta.json`);
  if (!(await file.exists())) {
    throw invalid(
      `Failed to initialize: unable to resolve docker endpoint: context ${JSON.stringify(name)}: context not found: open ${file.name}: no such file or directory`,
    );
  }
  try {
    const meta = (await file.json()) as {
      Endpoints?: { docker?: { Host?: string; SkipTLSVerify?: boolean } };
    };
    const docker = meta.Endpoints?.docker ?? {};
    const read = async (part: string) => {
      const pem = Bun.file(`${folder}/contexts/tls/${id}/docker/${part}.pem`);
      return (await pem.exists()) ? await pem.text() : undefined;
    };
    const [ca, cert, key] = await Promise.all([read("ca"), read("cert"), read("key")]);
    const secured = ca !== undefined || cert !== undefined;
    return {
      host: docker.Host ?? "",
      tls: secured
        ? {
            verify: docker.SkipTLSVerify !== true,
            ...(ca === undefined ? {} : { ca }),
            ...(cert === undefined ? {} : { cert }),
            ...(key === undefined ? {} : { key }),
          }
        : undefined,
    };
  } catch (cause) {
    throw invalid(`context ${JSON.stringify(name)}: ${messageOf(cause)}`, cause);
  }
}
