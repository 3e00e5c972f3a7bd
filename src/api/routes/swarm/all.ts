import { TugError } from "../../../base/lib/errors.ts";
import { get, post, type Route, remove } from "../../route.ts";

/** What a daemon answers that is in no swarm. */
function swarmUnavailable(): TugError {
  return new TugError(
    "unavailable",
    'This node is not a swarm manager. Use "docker swarm init" or "docker swarm join" to connect this node to swarm and try again.',
  );
}

const paths: readonly (readonly [typeof get, string])[] = [
  [get, "/swarm"],
  [post, "/swarm/init"],
  [post, "/swarm/join"],
  [post, "/swarm/leave"],
  [post, "/swarm/update"],
  [get, "/swarm/unlockkey"],
  [post, "/swarm/unlock"],
  [get, "/nodes"],
  [get, "/nodes/{id}"],
  [remove, "/nodes/{id}"],
  [post, "/nodes/{id}/update"],
  [get, "/services"],
  [post, "/services/create"],
  [get, "/services/{id}"],
  [remove, "/services/{id}"],
  [post, "/services/{id}/update"],
  [get, "/services/{id}/logs"],
  [get, "/tasks"],
  [get, "/tasks/{id}"],
  [get, "/tasks/{id}/logs"],
  [get, "/secrets"],
  [post, "/secrets/create"],
  [get, "/secrets/{id}"],
  [remove, "/secrets/{id}"],
  [post, "/secrets/{id}/update"],
  [get, "/configs"],
  [post, "/configs/create"],
  [get, "/configs/{id}"],
  [remove, "/configs/{id}"],
  [post, "/configs/{id}/update"],
];

/** The cluster's routes, for a node that is in none; without those of secrets when the node keeps its own. */
export function swarmRoutes(ownSecrets: boolean): readonly Route[] {
  const served = ownSecrets ? paths.filter(([, path]) => !path.startsWith("/secrets")) : paths;
  return served.map(([method, path]) =>
    method(path, async () => {
      throw swarmUnavailable();
    }),
  );
}
