import * as content from "./content.gen.ts";
import * as control from "./control.gen.ts";
import { Packet } from "./fsutil.gen.ts";
import * as gateway from "./gateway.gen.ts";
import * as session from "./session.gen.ts";
import * as status from "./status.gen.ts";

/** BuildKit's methods: paths with the codecs of their messages (the services of its .proto files). */
const method = <I, O>(path: string, input: I, output: O) => ({ path, input, output });

const controlPath = (name: string) => `/moby.buildkit.v1.Control/${name}`;

export const Control = {
  diskUsage: method(controlPath("DiskUsage"), control.DiskUsageRequest, control.DiskUsageResponse),
  prune: method(controlPath("Prune"), control.PruneRequest, control.UsageRecord),
  solve: method(controlPath("Solve"), control.SolveRequest, control.SolveResponse),
  status: method(controlPath("Status"), control.StatusRequest, control.StatusResponse),
  session: method(controlPath("Session"), session.BytesMessage, session.BytesMessage),
  listWorkers: method(controlPath("ListWorkers"), control.ListWorkersRequest, control.ListWorkersResponse),
  info: method(controlPath("Info"), control.InfoRequest, control.InfoResponse),
  listenBuildHistory: method(
    controlPath("ListenBuildHistory"),
    control.BuildHistoryRequest,
    control.BuildHistoryEvent,
  ),
  updateBuildHistory: method(
    controlPath("UpdateBuildHistory"),
    control.UpdateBuildHistoryRequest,
    control.UpdateBuildHistoryResponse,
  ),
} as const;

const bridgePath = (name: string) => `/moby.buildkit.v1.frontend.LLBBridge/${name}`;

export const LlbBridge = {
  ping: method(bridgePath("Ping"), gateway.PingRequest, gateway.PongResponse),
  solve: method(bridgePath("Solve"), gateway.SolveRequest, gateway.SolveResponse),
  return: method(bridgePath("Return"), gateway.ReturnRequest, gateway.ReturnResponse),
  inputs: method(bridgePath("Inputs"), gateway.InputsRequest, gateway.InputsResponse),
  evaluate: method(bridgePath("Evaluate"), gateway.EvaluateRequest, gateway.EvaluateResponse),
  resolveImageConfig: method(
    bridgePath("ResolveImageConfig"),
    gateway.ResolveImageConfigRequest,
    gateway.ResolveImageConfigResponse,
  ),
  resolveSourceMeta: method(
    bridgePath("ResolveSourceMeta"),
    gateway.ResolveSourceMetaRequest,
    gateway.ResolveSourceMetaResponse,
  ),
  readFile: method(bridgePath("ReadFile"), gateway.ReadFileRequest, gateway.ReadFileResponse),
  readDir: method(bridgePath("ReadDir"), gateway.ReadDirRequest, gateway.ReadDirResponse),
  statFile: method(bridgePath("StatFile"), gateway.StatFileRequest, gateway.StatFileResponse),
  warn: method(bridgePath("Warn"), gateway.WarnRequest, gateway.WarnResponse),
} as const;

/** What a client lends: files of its own. */
export const FileSync = {
  diffCopy: method("/moby.filesync.v1.FileSync/DiffCopy", Packet, Packet),
} as const;

/** Where outputs of the client's go: one file as bytes, or a tree. */
export const FileSend = {
  bytes: method("/moby.filesync.v1.FileSend/DiffCopy", session.BytesMessage, session.BytesMessage),
  tree: method("/moby.filesync.v1.FileSend/DiffCopy", Packet, Packet),
} as const;

export const Auth = {
  credentials: method(
    "/moby.filesync.v1.Auth/Credentials",
    session.CredentialsRequest,
    session.CredentialsResponse,
  ),
  fetchToken: method(
    "/moby.filesync.v1.Auth/FetchToken",
    session.FetchTokenRequest,
    session.FetchTokenResponse,
  ),
} as const;

export const Secrets = {
  getSecret: method(
    "/moby.buildkit.secrets.v1.Secrets/GetSecret",
    session.GetSecretRequest,
    session.GetSecretResponse,
  ),
} as const;

export const Ssh = {
  checkAgent: method(
    "/moby.sshforward.v1.SSH/CheckAgent",
    session.CheckAgentRequest,
    session.CheckAgentResponse,
  ),
  forwardAgent: method("/moby.sshforward.v1.SSH/ForwardAgent", session.BytesMessage, session.BytesMessage),
} as const;

export const Upload = {
  pull: method("/moby.upload.v1.Upload/Pull", session.BytesMessage, session.BytesMessage),
} as const;

const contentPath = (name: string) => `/containerd.services.content.v1.Content/${name}`;

/** Content stores that a client lends (session/content of BuildKit): its OCI layouts, and directories of caches. */
export const Content = {
  info: method(contentPath("Info"), content.InfoRequest, content.InfoResponse),
  read: method(contentPath("Read"), content.ReadContentRequest, content.ReadContentResponse),
  write: method(contentPath("Write"), content.WriteContentRequest, content.WriteContentResponse),
} as const;

/** What a message of Content.Write asks for. */
export const writeAction = { stat: 0, write: 1, commit: 2 } as const;

/** Metadata key that says which of a client's stores is meant. */
export const storeKey = "buildkit-attachable-store-id";

export const Health = {
  check: method("/grpc.health.v1.Health/Check", status.HealthCheckRequest, status.HealthCheckResponse),
} as const;

/** Metadata keys of FileSync and FileSend (session/filesync of BuildKit). */
export const fileKeys = {
  directory: "dir-name",
  include: "include-patterns",
  exclude: "exclude-patterns",
  follow: "followpaths",
  /** Clients before 2021 prefer excludes of their own unless told so. */
  overrideExcludes: "override-excludes",
  exporter: "buildkit-attachable-exporter-id",
  exporterMeta: "exporter-md-",
  multiPlatform: "buildkit-exporter-multi-platform",
} as const;

/** Header fields of POST /session. */
export const sessionHeaders = {
  id: "X-Docker-Expose-Session-Uuid",
  name: "X-Docker-Expose-Session-Name",
  sharedKey: "X-Docker-Expose-Session-Sharedkey",
  method: "X-Docker-Expose-Session-Grpc-Method",
} as const;

/** Metadata key that says which build a call of the gateway belongs to. */
export const buildIdKey = "buildkit-controlapi-buildid";
