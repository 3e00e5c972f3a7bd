import { createHash } from "node:crypto";
import { invalid, messageOf } from "../../base/lib/errors.ts";
import type { TlsOptions } from "../../client/address.ts";
import { readSettings } from "./read-settings.ts";

/** What a Docker context says about reaching its daemon. */
export interface ContextEndpoint {
  readonly host: string;
  readonly tls: TlsOptions | undefined;
}

/** Reads a context of Docker's store: <folder>/contexts/meta/<sha256 of the name>/meta.json and its TLS files. */
export async function readContext(folder: string, name: string): Promise<ContextEndpoint> {
  const id = createHash("sha256").update(name).digest("hex");
  const path = `${folder}/contexts/meta/${id}/meta.json`;
  if (!(await Bun.file(path).exists())) {
    throw invalid(
      `Failed to initialize: unable to resolve docker endpoint: context ${JSON.stringify(name)}: context not found: open ${path}: no such file or directory`,
    );
  }
  try {
    const meta = JSON.parse(await readSettings(path)) as {
      Endpoints?: { docker?: { Host?: string; SkipTLSVerify?: boolean } };
    };
    const docker = meta.Endpoints?.docker ?? {};
    const read = async (part: string) => {
      const pem = `${folder}/contexts/tls/${id}/docker/${part}.pem`;
      return (await Bun.file(pem).exists()) ? await readSettings(pem) : undefined;
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
