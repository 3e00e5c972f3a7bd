import { familiarName, parseReference, withDefaultTag } from "../../base/spec/docker/reference.ts";
import type { Client } from "../../client/client.ts";
import { pullImage } from "../../client/images/pull.ts";
import { registryAuth } from "../config/credentials.ts";
import type { Context } from "../context.ts";
import type { Output } from "../io/output.ts";
import { showProgress, silentOutput } from "./display.ts";

export interface PullRequest {
  readonly image: string;
  readonly platform: string;
  readonly quiet: boolean;
  readonly allTags?: boolean;
  /** Show where it was looked for. */
  readonly explain?: boolean;
  readonly out: Output;
}

/** Pulls an image with the credentials of its registry and shows how it goes; gives its full name. */
export async function pullWithProgress(
  context: Context,
  client: Client,
  request: PullRequest,
): Promise<string> {
  const parsed = parseReference(request.image);
  const reference = request.allTags ? parsed : withDefaultTag(parsed);
  const auth = await registryAuth(context, reference.domain);
  const messages = await pullImage(client, {
    image: familiarName(reference),
    tag: request.allTags ? "" : (reference.digest ?? reference.tag ?? ""),
    platform: request.platform,
    explain: request.explain ?? false,
    auth,
  });
  if (request.quiet) await showProgress(messages, silentOutput);
  else await showProgress(messages, request.out);
  const tag = reference.tag === undefined ? "" : `:${reference.tag}`;
  return `${reference.domain}/${reference.path}${tag}${reference.digest === undefined ? "" : `@${reference.digest}`}`;
}
