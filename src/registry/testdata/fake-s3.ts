import { createHmac, createHash } from "node:crypto";

/**
 * As much of S3's REST API as the storage uses, in memory: objects, ranges, multipart uploads, ListObjectsV2, and signature version 4,
 * which it checks. Keys are listed in their order, `pageSize` at a time.
 */
export class FakeS3 implements Disposable {
  readonly objects = new Map<string, Buffer>();
  readonly #uploads = new Map<string, Map<number, Buffer>>();
  readonly #server: ReturnType<typeof Bun.serve>;
  readonly secret = "secret";
  /** Set to answer everything with this status. */
  broken: number | undefined;
  /** So many of the next requests fail, and pass when they are asked again. */
  stumbles = 0;
  /** There is no such bucket: everything is 404. */
  gone = false;

  constructor(readonly pageSize = 2) {
    this.#server = Bun.serve({ port: 0, hostname: "127.0.0.1", fetch: (request) => this.#answer(request) });
  }

  get endpoint(): string {
    return `http://127.0.0.1:${this.#server.port}`;
  }

  [Symbol.dispose](): void {
    this.#server.stop(true);
  }

  async #answer(request: Request): Promise<Response> {
    const url = new URL(request.url);
    const body = Buffer.from(await request.arrayBuffer());
    if (this.broken !== undefined) return error(this.broken, "InternalError");
    if (this.stumbles > 0) return error(503, this.stumbles-- % 2 ? "SlowDown" : "ServiceUnavailable");
    if (this.gone) return request.method === "HEAD" ? new Response(null, { status: 404 }) : error(404, "NoSuchBucket");
    if (!this.#signed(request, url)) return error(403, "SignatureDoesNotMatch");
    const key = decodeURIComponent(url.pathname).replace(/^\/bucket\/?/, "");
    if (key === "") return this.#list(url);
    const upload = url.searchParams.get("uploadId");
    switch (request.method) {
      case "POST": {
        if (upload === null) {
          const id = crypto.randomUUID();
          this.#uploads.set(id, new Map());
          return xml(`<InitiateMultipartUploadResult><Bucket>bucket</Bucket><Key>${key}</Key><UploadId>${id}</UploadId></InitiateMultipartUploadResult>`);
        }
        const parts = [...(this.#uploads.get(upload) ?? [])].sort(([a], [b]) => a - b);
        this.objects.set(key, Buffer.concat(parts.map(([, part]) => part)));
        this.#uploads.delete(upload);
        return xml(`<CompleteMultipartUploadResult><Key>${key}</Key><ETag>"x"</ETag></CompleteMultipartUploadResult>`);
      }
      case "PUT":
        if (upload === null) this.objects.set(key, body);
        else this.#uploads.get(upload)?.set(Number(url.searchParams.get("partNumber")), body);
        return new Response(null, { headers: { ETag: '"x"' } });
      case "DELETE":
        if (upload === null) this.objects.delete(key);
        else this.#uploads.delete(upload);
        return new Response(null, { status: 204 });
      default:
        return this.#get(request, key);
    }
  }

  #get(request: Request, key: string): Response {
    const object = this.objects.get(key);
    if (!object) return request.method === "HEAD" ? new Response(null, { status: 404 }) : error(404, "NoSuchKey");
    const headers = { ETag: '"x"', "Last-Modified": new Date(0).toUTCString(), "Content-Length": String(object.length) };
    if (request.method === "HEAD") return new Response(null, { headers });
    const range = /^bytes=(\d+)-(\d*)$/.exec(request.headers.get("range") ?? "");
    if (!range) return new Response(new Uint8Array(object), { headers });
    const part = object.subarray(Number(range[1]), range[2] ? Number(range[2]) + 1 : undefined);
    return new Response(new Uint8Array(part), { status: 206, headers: { ETag: '"x"' } });
  }

  #list(url: URL): Response {
    const prefix = url.searchParams.get("prefix") ?? "";
    const after = url.searchParams.get("start-after") ?? "";
    const keys = [...this.objects.keys()].filter((key) => key.startsWith(prefix) && key > after).sort();
    const page = keys.slice(0, this.pageSize);
    const contents = page.map((key) => `<Contents><Key>${key}</Key><Size>${this.objects.get(key)?.length}</Size></Contents>`);
    return xml(
      `<ListBucketResult><Name>bucket</Name><IsTruncated>${keys.length > page.length}</IsTruncated>${contents.join("")}</ListBucketResult>`,
    );
  }

  /** AWS Signature Version 4 over the headers that the client says it signed. */
  #signed(request: Request, url: URL): boolean {
    const match = /Credential=([^/]+)\/(\d+)\/([^/]+)\/s3\/aws4_request,\s*SignedHeaders=([^,]+),\s*Signature=(\w+)/.exec(
      request.headers.get("authorization") ?? "",
    );
    if (!match) return false;
    const [, , date = "", region = "", names = "", signature] = match;
    const query = url.search
      .slice(1)
      .split("&")
      .filter(Boolean)
      .map((each) => (each.includes("=") ? each : `${each}=`))
      .sort()
      .join("&");
    const headers = names.split(";").map((name) => `${name}:${(request.headers.get(name) ?? "").trim()}\n`);
    const hash = request.headers.get("x-amz-content-sha256") ?? "";
    const canonical = [request.method, url.pathname, query, headers.join(""), names, hash].join("\n");
    const scope = `${date}/${region}/s3/aws4_request`;
    const text = ["AWS4-HMAC-SHA256", request.headers.get("x-amz-date"), scope, createHash("sha256").update(canonical).digest("hex")].join("\n");
    const sign = (key: string | Buffer, data: string) => createHmac("sha256", key).update(data).digest();
    const signing = sign(sign(sign(sign(`AWS4${this.secret}`, date), region), "s3"), "aws4_request");
    return sign(signing, text).toString("hex") === signature;
  }
}

function xml(text: string): Response {
  return new Response(`<?xml version="1.0" encoding="UTF-8"?>${text}`, { headers: { "Content-Type": "application/xml" } });
}

function error(status: number, code: string): Response {
  return new Response(`<?xml version="1.0"?><Error><Code>${code}</Code><Message>${code}</Message></Error>`, { status });
}
