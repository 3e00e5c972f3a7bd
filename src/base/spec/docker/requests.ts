import type { ContainerConfig, NetworkingConfig } from "./api.gen.ts";
import type { TugHealthConfig, TugHostConfig } from "./extensions.ts";

/** Bodies of requests that Docker's published description spells out in place, without a name. */

/** Body of POST /containers/create, with what Tug adds to it. */
export type CreateRequest = Omit<ContainerConfig, "Healthcheck"> & {
  readonly Healthcheck?: TugHealthConfig | undefined;
  readonly HostConfig?: TugHostConfig | undefined;
  readonly NetworkingConfig?: NetworkingConfig | undefined;
};

/** Body of POST /containers/{id}/exec. */
export interface ExecCreateRequest {
  readonly AttachStdin?: boolean;
  readonly AttachStdout?: boolean;
  readonly AttachStderr?: boolean;
  readonly ConsoleSize?: readonly [number, number] | null;
  readonly DetachKeys?: string;
  readonly Tty?: boolean;
  readonly Env?: readonly string[] | null;
  readonly Cmd?: readonly string[] | null;
  readonly Privileged?: boolean;
  readonly User?: string;
  readonly WorkingDir?: string;
}

/** Body of POST /networks/create. */
export interface NetworkCreateRequest {
  readonly Name: string;
  readonly Driver?: string;
  readonly Scope?: string;
  readonly Internal?: boolean;
  readonly Attachable?: boolean;
  readonly Ingress?: boolean;
  readonly ConfigOnly?: boolean;
  readonly ConfigFrom?: { readonly Network?: string } | null;
  readonly IPAM?: {
    readonly Driver?: string;
    readonly Config?:
      | readonly {
          readonly Subnet?: string;
          readonly IPRange?: string;
          readonly Gateway?: string;
          readonly AuxiliaryAddresses?: Readonly<Record<string, string>>;
        }[]
      | null;
    readonly Options?: Readonly<Record<string, string>> | null;
  } | null;
  readonly EnableIPv4?: boolean;
  readonly EnableIPv6?: boolean;
  readonly Options?: Readonly<Record<string, string>> | null;
  readonly Labels?: Readonly<Record<string, string>> | null;
  readonly CheckDuplicate?: boolean;
}
