import type { Exchange } from "../../base/http/exchange.ts";
import type { RepositoryName } from "../names.ts";

/** What a request wants to do with a repository. `delete` covers tags, manifests and blobs. */
export type Action = "pull" | "push" | "delete";

/** Who asks, and what they may do. */
export interface Identity {
  /** undefined: nobody said who they are. */
  readonly name: string | undefined;
  /** Valid credentials or a valid token came with the request, even if the token is anybody's. */
  readonly proven: boolean;
  may(action: Action, repository: RepositoryName): boolean;
  /** Shown in the catalog, in search and on the pages. */
  sees(repository: RepositoryName): boolean;
  /** False when asking for the catalog needs a right of its own, which this one lacks. */
  readonly mayList: boolean;
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
  /**
   * The WWW-Authenticate header that says how to get in. `scope` is that of distribution's token authentication
   * ("repository:team/app:pull,push", "registry:catalog:*"); `failure` an error of RFC 6750, 3.1.
   */
  challenge(
    exchange: Exchange,
    scope: string | undefined,
    failure?: "invalid_token" | "insufficient_scope",
  ): string;
  /** True when people without a name may look around: there is something for them. */
  readonly visitors: boolean;
  /** The challenge for a person with a browser, which knows no tokens; undefined when there are no passwords here. */
  readonly browserChallenge: string | undefined;
}

/** A registry for everybody. */
export const openAccess: Authenticator = {
  identify: async () => ({ name: undefined, proven: true, mayList: true, may: () => true, sees: () => true }),
  guardsRoot: false,
  visitors: true,
  challenge: () => basicChallenge,
  browserChallenge: undefined,
};

export const basicChallenge = 'Basic realm="registry", charset="UTF-8"';
