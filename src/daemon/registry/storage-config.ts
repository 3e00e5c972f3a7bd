import { invalid } from "../../base/lib/errors.ts";
import type { S3Settings } from "../../registry/storage/s3-storage.ts";
import type { Section } from "./section.ts";

/** The bucket, if blobs are to lie in one; credentials may come from the environment, as for other programs. */
export function s3Of(storage: Section, flag: unknown): S3Settings | undefined {
  const from = storage.section("s3");
  const given = typeof flag === "string" ? /^s3:\/\/([^/]+)(?:\/(.*))?$/.exec(flag) : undefined;
  if (given === null)
    throw invalid(`invalid value ${JSON.stringify(flag)} for --s3: expected s3://BUCKET[/PREFIX]`);
  const [ownBucket, ownPrefix] = [from.text("bucket"), from.text("prefix") ?? ""];
  const bucket = given?.[1] ?? ownBucket;
  const prefix = (given ? (given[2] ?? "") : ownPrefix).replace(/\/+$/, "");
  const env = process.env;
  const settings = {
    endpoint: from.text("endpoint"),
    region: from.text("region") ?? env["AWS_REGION"],
    accessKeyId: from.text("access-key-id") ?? env["AWS_ACCESS_KEY_ID"],
    secretAccessKey: from.secret("secret-access-key") ?? env["AWS_SECRET_ACCESS_KEY"],
    sessionToken: env["AWS_SESSION_TOKEN"],
    prefix: prefix === "" ? "" : `${prefix}/`,
  };
  from.end();
  storage.end();
  if (bucket === undefined) {
    if (from.names().length > 0) throw invalid(`${from.at("bucket")} is missing`);
    return undefined;
  }
  return { ...settings, bucket };
}
