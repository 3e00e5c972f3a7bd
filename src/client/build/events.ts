import { Code, RpcError } from "../../base/rpc/status.ts";
import type { StatusResponse } from "../../base/spec/buildkit/control.gen.ts";
import type { Range, SourceInfo, Timestamp } from "../../base/spec/buildkit/pb.gen.ts";
import { SourceDetail, VertexDetail } from "../../base/spec/buildkit/status.gen.ts";

/** Nanoseconds since the epoch. */
export type Nanoseconds = bigint;

/** A piece of a build's progress. What is in several events of one vertex or status counts as it was said last. */
export interface SolveEvent {
  readonly vertexes: readonly SolveVertex[];
  readonly statuses: readonly SolveStatus[];
  readonly logs: readonly SolveLog[];
  readonly warnings: readonly SolveWarning[];
}

export interface SolveVertex {
  readonly digest: string;
  readonly inputs: readonly string[];
  readonly name: string;
  readonly cached: boolean;
  readonly started: Nanoseconds | undefined;
  readonly completed: Nanoseconds | undefined;
  /** "": none. */
  readonly error: string;
}

/** Part of a vertex: a layer, a transfer. */
export interface SolveStatus {
  readonly id: string;
  readonly vertex: string;
  readonly name: string;
  readonly current: number;
  /** 0: unknown. */
  readonly total: number;
  readonly at: Nanoseconds | undefined;
  readonly started: Nanoseconds | undefined;
  readonly completed: Nanoseconds | undefined;
}

export interface SolveLog {
  readonly vertex: string;
  /** 1 standard output, 2 standard error. */
  readonly stream: number;
  readonly data: Uint8Array;
  readonly at: Nanoseconds | undefined;
}

export interface SolveWarning {
  readonly vertex: string;
  readonly level: number;
  readonly short: string;
  readonly detail: readonly string[];
  readonly url: string;
  readonly source: FailedSource | undefined;
}

/** Lines of a file; `text` is the whole file. */
export interface FailedSource {
  readonly file: string;
  readonly text: string;
  readonly language: string;
  /** Lines from 1, ends included. */
  readonly ranges: readonly { readonly start: number; readonly end: number }[];
}

export function toEvent(reply: StatusResponse): SolveEvent {
  return {
    vertexes: reply.vertexes.map(({ digest, inputs, name, cached, started, completed, error }) => ({
      digest,
      inputs,
      name,
      cached,
      started: nanoseconds(started),
      completed: nanoseconds(completed),
      error,
    })),
    statuses: reply.statuses.map((status) => ({
      id: status.id,
      vertex: status.vertex,
      name: status.name,
      current: Number(status.current),
      total: Number(status.total),
      at: nanoseconds(status.timestamp),
      started: nanoseconds(status.started),
      completed: nanoseconds(status.completed),
    })),
    logs: reply.logs.map((log) => ({
      vertex: log.vertex,
      stream: Number(log.stream),
      data: log.msg,
      at: nanoseconds(log.timestamp),
    })),
    warnings: reply.warnings.map((warning) => ({
      vertex: warning.vertex,
      level: Number(warning.level),
      short: text(warning.short),
      detail: warning.detail.map(text),
      url: warning.url,
      source: sourceOf(warning.info, warning.ranges),
    })),
  };
}

/** What a failed `solve` says of where it failed. */
export interface SolveFailure {
  /** Go's name of the gRPC status: "Canceled", "Unavailable", … "Unknown": the build failed of itself. */
  readonly status: string;
  /** Digest of the vertex that failed. */
  readonly vertex: string | undefined;
  /** Innermost first, as they should be shown. */
  readonly sources: readonly FailedSource[];
}

export function failureOf(error: unknown): SolveFailure {
  let vertex: string | undefined;
  const sources: FailedSource[] = [];
  for (const { typeUrl, value } of error instanceof RpcError ? error.details : []) {
    const type = /(?:^|\/)errdefs\.(\w+)(\+json)?$/.exec(typeUrl.replace(/^.*\//, "/"));
    const json = type?.[2] !== undefined;
    try {
      if (type?.[1] === "Vertex") vertex = json ? jsonVertex(value) : VertexDetail.decode(value).digest;
      else if (type?.[1] === "Source") {
        const source = json ? jsonSource(value) : SourceDetail.decode(value);
        const shown = sourceOf(source.info, source.ranges);
        if (shown) sources.push(shown);
      }
    } catch {
      // A detail that cannot be read explains nothing; the message is there.
    }
  }
  return { status: statusName(error instanceof RpcError ? error.status : Code.unknown), vertex, sources };
}

function statusName(code: number): string {
  if (code === Code.cancelled) return "Canceled";
  const name = Object.entries(Code).find(([, value]) => value === code)?.[0] ?? "unknown";
  return name.charAt(0).toUpperCase() + name.slice(1);
}

/** grpcerrors of BuildKit write details as JSON (type URL "…+json") with the fields' Go names. */
function jsonVertex(value: Uint8Array): string | undefined {
  const parsed: unknown = JSON.parse(text(value));
  const digest = field(parsed, "digest");
  return typeof digest === "string" ? digest : undefined;
}

function jsonSource(value: Uint8Array): SourceDetail {
  const parsed: unknown = JSON.parse(text(value));
  const info = field(parsed, "info");
  const ranges = field(parsed, "ranges");
  const line = (position: unknown) => Number(field(position, "line") ?? 0);
  return {
    info: {
      filename: String(field(info, "filename") ?? ""),
      data: Buffer.from(String(field(info, "data") ?? ""), "base64"),
      language: String(field(info, "language") ?? ""),
    },
    ranges: (Array.isArray(ranges) ? ranges : []).map((range: unknown) => ({
      start: { line: line(field(range, "start")), character: 0 },
      end: { line: line(field(range, "end")), character: 0 },
    })),
  };
}

function field(value: unknown, name: string): unknown {
  if (typeof value !== "object" || value === null) return undefined;
  return Object.entries(value).find(([key]) => key.toLowerCase() === name)?.[1];
}

function sourceOf(info: SourceInfo | undefined, ranges: readonly Range[]): FailedSource | undefined {
  if (!info) return undefined;
  return {
    file: info.filename,
    text: text(info.data),
    language: info.language,
    ranges: ranges.map((range) => ({
      start: range.start?.line ?? 0,
      end: range.end?.line ?? range.start?.line ?? 0,
    })),
  };
}

const text = (bytes: Uint8Array) => Buffer.from(bytes).toString();

const nanoseconds = (time: Timestamp | undefined): Nanoseconds | undefined =>
  time === undefined ? undefined : time.seconds * 1_000_000_000n + BigInt(time.nanos);
