import type { ConfigReference, IPAM, NetworkCreateResponse } from "../../base/spec/docker/api.gen.ts";
import type { Client } from "../client.ts";

export interface NetworkSpec {
  readonly Name: string;
  readonly Driver: string;
  readonly Scope?: string;
  readonly Internal?: boolean;
  readonly Attachable?: boolean;
  readonly Ingress?: boolean;
  readonly ConfigOnly?: boolean;
  readonly ConfigFrom?: ConfigReference | undefined;
  readonly EnableIPv4?: boolean | undefined;
  readonly EnableIPv6?: boolean | undefined;
  readonly IPAM: IPAM;
  readonly Options: Readonly<Record<string, string>>;
  readonly Labels: Readonly<Record<string, string>>;
}

/** POST /networks/create */
export async function createNetwork(client: Client, spec: NetworkSpec): Promise<NetworkCreateResponse> {
  return await client.json({
    method: "POST",
    path: "/networks/create",
    json: { CheckDuplicate: true, ...spec },
  });
}
