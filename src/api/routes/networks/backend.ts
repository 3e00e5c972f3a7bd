import type {
  EndpointSettings,
  NetworkCreateResponse,
  NetworkInspect,
} from "../../../base/spec/docker/api.gen.ts";
import type { NetworkCreateRequest } from "../../../base/spec/docker/requests.ts";
import type { Filters } from "../../filters.ts";

export interface NetworkBackend {
  list(filters: Filters): Promise<readonly NetworkInspect[]>;
  create(request: NetworkCreateRequest): Promise<NetworkCreateResponse>;
  inspect(
    nameOrId: string,
    options: { readonly verbose: boolean; readonly scope: string | undefined },
  ): Promise<NetworkInspect>;
  remove(nameOrId: string): Promise<void>;
  connect(nameOrId: string, container: string, settings: EndpointSettings | undefined): Promise<void>;
  disconnect(nameOrId: string, container: string, options: { readonly force: boolean }): Promise<void>;
  prune(filters: Filters): Promise<{ readonly NetworksDeleted: readonly string[] | null }>;
}
