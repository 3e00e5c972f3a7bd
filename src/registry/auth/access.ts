import type { Exchange } from "../../base/http/exchange.ts";
import type { RepositoryName } from "../names.ts";

/** What a request wants to do with a repository. `delete` covers tags, manifests and blobs. */
export type Action = "pull" | "push" | "delete";

/** Who asks, and what they may do. */
export interface Identity {
  /** undefined: nobody said who they are. */
  readonly name: string | undefined;
  may(action: Action, repository: RepositoryName): boolean;
}

/** Scope of a bearer challenge: `repository:<name>:<actions>` (distribution, "Docker Registry v2 authentication"). */
export interface WantedScope {
  readonly repository: RepositoryName;
  readonly actions: readonly Action[];
}

/**
 * Finds out who asks. Basic with an htpasswd file, bearer tokens of a server of one's own, tokens this registry gives out itself, or
 * nobody at all: each is one implementation.
 */
export interface Authenticator {
  /** Throws UNAUTHORIZED for credentials that are wrong; none at all are an identity without a name. */
  identify(exchange: Exchange): Promise<Identity>;
  /** True when `GET /v2/` is refused without credentials: that is how clients learn to send any. */
  readonly guardsRoot: boolean;
  /** The WWW-Authenticate header that says how to get in. */
  challenge(exchange: Exchange, scopes: readonly WantedScope[], failure?: string): string;
}

/** A registry for everybody. */
export const openAccess: Authenticator = {
  identify: async () => ({ name: undefined, may: () => true }),
  guardsRoot: false,
  challenge: () => 'Basic realm="registry"',
};
