/** Requests told to both engines without a client in between: status and body must be the same. */
export interface Conversation {
  readonly name: string;
  readonly requests: readonly Request[];
}

export interface Request {
  /** "GET /path"; without a version the path goes to v1.41, the judge's newest. */
  readonly line: string;
  readonly body?: unknown;
  /** Sent as it is. */
  readonly text?: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** The newest Docker's refusal, where it is worded otherwise than the judge's. */
  readonly now?: { readonly status: number; readonly message: string };
  /** Only which members there are and of what type is compared. */
  readonly shape?: boolean;
}

const get = (path: string): Request => ({ line: `GET ${path}` });
const shape = (path: string): Request => ({ line: `GET ${path}`, shape: true });
const post = (path: string, body?: unknown): Request => ({
  line: `POST ${path}`,
  ...(body === undefined ? {} : { body }),
});
const remove = (path: string): Request => ({ line: `DELETE ${path}` });
const now = (status: number, message: string, request: Request): Request => ({
  ...request,
  now: { status, message },
});
const create = (body: unknown): Request => post("/containers/create", body);
const filters = (value: Readonly<Record<string, readonly string[]>>) =>
  encodeURIComponent(JSON.stringify(value));

export const conversations: readonly Conversation[] = [
  {
    name: "a container with nothing but an image",
    requests: [
      post("/containers/create?name=rr", { Image: "busybox" }),
      get("/containers/rr/json"),
      get("/containers/json?all=1"),
      post("/containers/rr/start"),
      post("/containers/rr/wait"),
      shape("/containers/rr/json"),
      get("/containers/rr/changes"),
      get("/containers/rr/logs?stdout=1"),
      get("/containers/rr/logs"),
      get("/containers/rr/top"),
      post("/containers/rr/stop"),
      post("/containers/rr/kill"),
      post("/containers/rr/resize?h=1&w=1"),
      now(
        400,
        'invalid resize height "": strconv.ParseUint: parsing "": invalid syntax',
        post("/containers/rr/resize"),
      ),
      post("/containers/rr/pause"),
      post("/containers/rr/exec", { Cmd: ["true"] }),
      shape("/containers/rr/stats?stream=0"),
      post("/containers/rr/rename"),
      post("/containers/rr/rename?name=rr2"),
      remove("/containers/rr2"),
      remove("/containers/rr2"),
      get("/containers/rr2/json"),
    ],
  },
  {
    name: "a running container",
    requests: [
      post("/containers/create?name=rr", {
        Image: "busybox",
        Cmd: ["sleep", "100"],
        Labels: { k: "v" },
        ExposedPorts: { "80/tcp": {} },
        HostConfig: { PortBindings: { "80/tcp": [{ HostIp: "127.0.0.1", HostPort: "7020" }] } },
      }),
      post("/containers/rr/start"),
      get("/containers/json"),
      shape("/containers/rr/json?size=1"),
      shape("/containers/rr/stats?stream=0"),
      shape("/containers/rr/stats?stream=0&one-shot=1"),
      get("/containers/rr/top?ps_args=-o+tty,comm"),
      post("/containers/rr/exec", { Cmd: ["sh", "-c", "echo out"], AttachStdout: true }),
      post("/containers/rr/exec", {}),
      post("/containers/rr/exec", { Cmd: [] }),
      post("/containers/rr/update", { Memory: 33554432 }),
      post("/containers/rr/update", { Memory: 1 }),
      now(500, "lstat /etc/passwd/x: not a directory", {
        line: "GET /containers/rr/archive?path=/etc/passwd/x",
      }),
      { line: "GET /containers/rr/archive?path=/nosuch" },
      { line: "GET /containers/rr/archive" },
      { line: "PUT /containers/rr/archive?path=/nosuch", text: "" },
      { line: "PUT /containers/rr/archive?path=/etc/passwd", text: "" },
      now(500, "unexpected EOF", {
        line: "PUT /containers/rr/archive?path=/tmp",
        text: "this is no archive",
      }),
      { line: "HEAD /containers/rr/archive?path=/nosuch" },
      post("/containers/rr/attach"),
      now(404, "No such container: nosuch", post("/containers/nosuch/attach?stream=1")),
      now(
        409,
        'cannot remove container "/rr": container is running: stop the container before removing or force remove',
        remove("/containers/rr"),
      ),
      remove("/containers/rr?force=1&link=1"),
      remove("/containers/rr?force=nonsense"),
    ],
  },
  {
    name: "what create refuses",
    requests: [
      now(400, "invalid JSON: unexpected EOF", {
        line: "POST /containers/create",
        text: "{",
        headers: { "Content-Type": "application/json" },
      }),
      now(400, "unsupported Content-Type header (text/plain): must be 'application/json'", {
        line: "POST /containers/create",
        text: "{}",
        headers: { "Content-Type": "text/plain" },
      }),
      now(400, "invalid JSON: json: cannot unmarshal array into Go value of type struct", {
        line: "POST /containers/create",
        text: "[]",
        headers: { "Content-Type": "application/json" },
      }),
      now(400, "invalid JSON: got EOF while reading request body", {
        line: "POST /containers/create",
        text: "",
        headers: { "Content-Type": "application/json" },
      }),
      create({}),
      create({ Image: "" }),
      create({ Image: "nosuch" }),
      now(
        400,
        "invalid JSON: json: cannot unmarshal number into Go struct field CreateRequest.Cmd of type []string",
        create({ Image: "busybox", Cmd: 5 }),
      ),
      create({ Image: "busybox", Env: ["=x"] }),
      create({ Image: "busybox", WorkingDir: "rel" }),
      create({ Image: "busybox", StopSignal: "NOSUCH" }),
      create({ Image: "busybox", HostConfig: { CapAdd: ["NOPE"] } }),
      create({ Image: "busybox", HostConfig: { CapDrop: ["NOPE"] } }),
      create({ Image: "busybox", HostConfig: { Links: ["nope"] } }),
      create({ Image: "busybox", HostConfig: { VolumesFrom: ["nope"] } }),
      create({ Image: "busybox", HostConfig: { VolumesFrom: [""] } }),
      create({ Image: "busybox", HostConfig: { Binds: ["/a"] } }),
      create({ Image: "busybox", HostConfig: { Binds: [""] } }),
      create({ Image: "busybox", HostConfig: { CgroupnsMode: "nosuch" } }),
      create({ Image: "busybox", HostConfig: { OomScoreAdj: 5000 } }),
      create({ Image: "busybox", HostConfig: { ShmSize: -1 } }),
      create({ Image: "busybox", HostConfig: { ExtraHosts: ["x"] } }),
      now(
        400,
        'invalid port specification: "x/tcp"',
        create({ Image: "busybox", HostConfig: { PortBindings: { "x/tcp": [] } } }),
      ),
      create({
        Image: "busybox",
        HostConfig: { PortBindings: { "80/tcp": [{ HostPort: "x" }] } },
      }),
      create({
        Image: "busybox",
        HostConfig: { AutoRemove: true, RestartPolicy: { Name: "always" } },
      }),
      create({ Image: "busybox", HostConfig: { LogConfig: { Type: "nosuch" } } }),
      create({
        Image: "busybox",
        HostConfig: { LogConfig: { Type: "json-file", Config: { nosuch: "1" } } },
      }),
      create({
        Image: "busybox",
        HostConfig: { LogConfig: { Type: "json-file", Config: { "max-file": "2" } } },
      }),
      now(
        400,
        "invalid option: QoS maximum IOPs configuration is not supported on linux",
        create({ Image: "busybox", HostConfig: { IOMaximumIOps: 5 } }),
      ),
      create({ Image: "busybox", HostConfig: { SecurityOpt: ["nosuch"] } }),
      create({
        Image: "busybox",
        HostConfig: { DeviceRequests: [{ Driver: "nosuch", Count: 1 }] },
      }),
      create({
        Image: "busybox",
        HostConfig: { Mounts: [{ Type: "volume", Target: "/x", BindOptions: {} }] },
      }),
      post("/containers/create?name=_", { Image: "busybox" }),
      post("/containers/create?name=a%2Fb", { Image: "busybox" }),
      create({ Image: "busybox", Healthcheck: { Interval: 5 } }),
      create({ Image: "busybox", Healthcheck: { Retries: -1 } }),
      post("/containers/prune"),
      post("/volumes/prune"),
    ],
  },
  {
    name: "routes and versions",
    requests: [
      { line: "GET /_ping" },
      { line: "HEAD /_ping" },
      { line: "GET /nosuch" },
      { line: "POST /containers/json" },
      now(400, "client version 1.99 is too new. Maximum supported API version is 1.56", {
        line: "GET /v1.99/containers/json",
      }),
      now(
        400,
        "client version 1.5 is too old. Minimum supported API version is 1.24, please upgrade your client to a newer version",
        { line: "GET /v1.5/containers/json" },
      ),
      { line: "GET /v1.x/containers/json" },
      now(400, "invalid filter", { line: "GET /v1.41/containers/json?filters=nonsense" }),
      { line: `GET /v1.41/containers/json?filters=${filters({ nosuch: ["1"] })}` },
      { line: "GET /v1.41/containers/json?limit=x" },
      { line: "GET /v1.41/events?since=x" },
      { line: "GET /v1.41/containers//json" },
      shape("/version"),
      shape("/info"),
      get("/swarm"),
      get("/nodes"),
      get("/services"),
      get("/plugins"),
    ],
  },
  {
    name: "images, networks and volumes",
    requests: [
      shape("/images/json"),
      shape("/images/busybox/json"),
      shape("/images/busybox/history"),
      now(404, "No such image: nosuch:latest", get("/images/nosuch/json")),
      get("/images/nosuch/history"),
      post("/images/nosuch/tag?repo=a"),
      now(
        400,
        "invalid reference format: repository name (library/BAD) must be lowercase",
        post("/images/busybox/tag?repo=BAD"),
      ),
      post("/images/busybox/tag"),
      remove("/images/nosuch"),
      now(
        400,
        "invalid reference format: repository name (library/BAD) must be lowercase",
        post("/images/create?fromImage=BAD"),
      ),
      shape("/networks"),
      shape("/networks/bridge"),
      get("/networks/nosuch"),
      now(400, "invalid name: name is empty", post("/networks/create", {})),
      now(400, "invalid name: name is empty", post("/networks/create", { Name: "" })),
      post("/networks/create", { Name: "bridge" }),
      post("/networks/create", { Name: "rrnet", Driver: "host" }),
      post("/networks/create", { Name: "rrnet", Labels: { a: "b" }, Internal: true }),
      post("/networks/create", { Name: "rrnet", CheckDuplicate: true }),
      shape("/networks/rrnet"),
      post("/networks/rrnet/connect", { Container: "nosuch" }),
      post("/networks/rrnet/connect", {}),
      post("/networks/rrnet/disconnect", { Container: "nosuch" }),
      remove("/networks/rrnet"),
      remove("/networks/bridge"),
      post("/volumes/create", { Name: "rrvol", Labels: { a: "b" } }),
      get("/volumes/rrvol"),
      get("/volumes"),
      get(`/volumes?filters=${filters({ label: ["nosuch"] })}`),
      now(
        409,
        "create rrvol: driver 'local' already has volume 'rrvol': volume name must be unique",
        post("/volumes/create", { Name: "rrvol", Driver: "nosuch2" }),
      ),
      post("/volumes/create", { Name: "a b" }),
      remove("/volumes/rrvol"),
      remove("/volumes/rrvol"),
      get("/volumes/rrvol"),
      post("/volumes/prune"),
      post("/networks/prune"),
      post("/images/prune"),
      get("/exec/nosuch/json"),
      post("/exec/nosuch/start", {}),
    ],
  },
];
