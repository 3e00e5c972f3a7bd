import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer, type Server, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";

/**
 * The program from outside, against a daemon that plays a script: each request is answered by the first rule that fits.
 */
type Rule = readonly [pattern: RegExp, answer: string | ((socket: Socket, request: string) => void)];

const folder = mkdtempSync(join(tmpdir(), "tug-cli-"));
const socketPath = join(folder, "s.sock");
const entry = join(import.meta.dir, "../bin/tug.ts");
let rules: readonly Rule[] = [];
let heard: string[] = [];
let server: Server;

const json = (status: number, body: unknown) => {
  const text = JSON.stringify(body);
  return `HTTP/1.1 ${status} X\r\nApi-Version: 1.51\r\nContent-Type: application/json\r\nContent-Length: ${Buffer.byteLength(text)}\r\n\r\n${text}`;
};
const frame = (stream: number, text: string) => {
  const head = Buffer.alloc(8);
  head[0] = stream;
  head.writeUInt32BE(Buffer.byteLength(text), 4);
  return Buffer.concat([head, Buffer.from(text)]);
};
const upgraded = "HTTP/1.1 101 UPGRADED\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n";

beforeAll(async () => {
  server = createServer({ allowHalfOpen: true }, (socket) => {
    let text = "";
    let raw = false;
    socket.on("error", () => undefined);
    socket.on("end", () => {
      if (!raw) socket.end();
    });
    socket.on("data", (chunk) => {
      if (raw) return;
      text += chunk.toString("latin1");
      for (let end = text.indexOf("\r\n\r\n"); end >= 0; end = text.indexOf("\r\n\r\n")) {
        const length = Number(/content-length: (\d+)/i.exec(text.slice(0, end))?.[1] ?? 0);
        if (text.length < end + 4 + length) return;
        const request = text.slice(0, end + 4 + length);
        text = text.slice(end + 4 + length);
        const line = request.slice(0, request.indexOf(" HTTP"));
        heard.push(line);
        const rule = rules.find(([pattern]) => pattern.test(line));
        if (rule === undefined) socket.write(json(404, { message: `no rule for ${line}` }));
        else if (typeof rule[1] === "string") socket.write(rule[1]);
        else {
          raw = true;
          rule[1](socket, request);
        }
      }
    });
  });
  await new Promise<void>((done) => server.listen(socketPath, done));
});
afterAll(() => {
  server.close();
  rmSync(folder, { recursive: true, force: true });
});

async function tug(script: readonly Rule[], argv: readonly string[], input = "") {
  rules = script;
  heard = [];
  const child = Bun.spawn([process.execPath, entry, ...argv], {
    env: { PATH: process.env["PATH"] ?? "", HOME: folder, DOCKER_HOST: `unix://${socketPath}` },
    stdin: new Blob([input]),
    stdout: "pipe",
    stderr: "pipe",
  });
  const [out, err, code] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
    child.exited,
  ]);
  return { out, err, code };
}

/** A container that lives through `run`; `started` is where the start's answer comes from. */
function container(
  exit: number,
  output: Buffer,
  start = json(204, ""),
): { rules: Rule[]; input: () => string } {
  let attached: Socket | undefined;
  let waiting: Socket | undefined;
  let input = "";
  const finish = () => {
    attached?.end(output);
    const body = JSON.stringify({ StatusCode: exit });
    waiting?.write(`${body.length.toString(16)}\r\n${body}\r\n0\r\n\r\n`);
  };
  return {
    input: () => input,
    rules: [
      [/POST .*\/containers\/create/, json(201, { Id: "c0ffee", Warnings: ["mind the gap"] })],
      [
        /POST .*\/attach/,
        (socket, request) => {
          attached = socket;
          socket.write(upgraded);
          if (!/stdin=1/.test(request)) return;
          socket.on("data", (chunk) => {
            input += chunk.toString();
          });
        },
      ],
      [
        /POST .*\/wait/,
        (socket) => {
          waiting = socket;
          socket.write("HTTP/1.1 200 OK\r\nApi-Version: 1.51\r\nTransfer-Encoding: chunked\r\n\r\n");
        },
      ],
      [
        /POST .*\/start/,
        (socket) => {
          socket.write(start);
          if (!start.startsWith("HTTP/1.1 204")) return;
          if (!heard.some((line) => /attach.*stdin=1/.test(line)) || attached?.readableEnded) finish();
          else attached?.on("end", finish);
        },
      ],
    ],
  };
}

describe("run", () => {
  test("attaches and waits before it starts, separates the streams and hands on the exit code", async () => {
    const output = Buffer.concat([frame(1, "out\n"), frame(2, "err\n")]);
    const { out, err, code } = await tug(container(7, output).rules, ["run", "--rm", "busybox", "true"]);
    expect({ out, err, code }).toEqual({ out: "out\n", err: "WARNING: mind the gap\nerr\n", code: 7 });
    const at = (pattern: RegExp) => heard.findIndex((line) => pattern.test(line));
    expect(at(/create/)).toBe(0);
    expect(at(/start/)).toBe(3);
    expect(heard[at(/wait/)]).toContain("condition=removed");
    expect(heard).toHaveLength(4); // no round trip beyond these
  });

  test("sends standard input and its end, while output goes on", async () => {
    const box = container(0, frame(1, "done"));
    const { out, code } = await tug(box.rules, ["run", "-i", "busybox", "cat"], "from outside");
    expect({ out, code, input: box.input() }).toEqual({ out: "done", code: 0, input: "from outside" });
  });

  test("detached it prints the id", async () => {
    const { out, code } = await tug(
      [
        [/create/, json(201, { Id: "c0ffee" })],
        [/start/, "HTTP/1.1 204 No Content\r\nApi-Version: 1.51\r\n\r\n"],
      ],
      ["run", "-d", "busybox"],
    );
    expect({ out, code }).toEqual({ out: "c0ffee\n", code: 0 });
  });

  test.each([
    ['exec: "nosuch": executable file not found in $PATH: unknown', 127],
    ['exec: "/etc/hosts": permission denied: unknown', 126],
    ["driver failed: port is already allocated", 125],
  ])("a start that fails with %p", async (message, exit) => {
    const box = container(0, Buffer.alloc(0), json(400, { message }));
    const { err, code } = await tug(box.rules, ["run", "busybox"]);
    expect(err).toEndWith(
      `tug: Error response from daemon: ${message}\n\nRun 'tug run --help' for more information\n`,
    );
    expect(code).toBe(exit);
  });

  test("pulls a missing image and tries again", async () => {
    let pulled = false;
    const box = container(0, frame(1, "hi\n"));
    const progress =
      '{"status":"Pulling from library/busybox","id":"latest"}\n{"status":"Downloading","progressDetail":{"current":1,"total":2},"id":"aa"}\n{"status":"Pull complete","progressDetail":{},"id":"aa"}\n';
    const script: Rule[] = [
      [
        /images\/create\?fromImage=busybox&tag=latest/,
        (socket) => {
          pulled = true;
          socket.end(
            `HTTP/1.1 200 OK\r\nApi-Version: 1.51\r\nContent-Type: application/json\r\n\r\n${progress}`,
          );
        },
      ],
      [
        /containers\/create/,
        (socket) =>
          socket.end(
            pulled ? json(201, { Id: "c0ffee" }) : json(404, { message: "No such image: busybox:latest" }),
          ),
      ],
      ...box.rules.slice(1),
    ];
    const { out, err, code } = await tug(script, ["run", "busybox"]);
    expect({ out, code }).toEqual({ out: "hi\n", code: 0 });
    expect(err).toBe(
      "Unable to find image 'busybox:latest' locally\nlatest: Pulling from library/busybox\naa: Pull complete\n",
    );
  });

  test("never pulls when told so", async () => {
    const { err, code } = await tug(
      [[/create/, json(404, { message: "No such image: x:latest" })]],
      ["run", "--pull", "never", "x"],
    );
    expect(err).toContain("No such image: x:latest");
    expect(code).toBe(125);
  });
});

describe("exec", () => {
  test("streams and answers with the command's exit code", async () => {
    const { out, code } = await tug(
      [
        [/POST .*\/containers\/web\/exec/, json(201, { Id: "e1" })],
        [
          /POST .*\/exec\/e1\/start/,
          (socket) => socket.end(Buffer.concat([Buffer.from(upgraded), frame(1, "ok\n")])),
        ],
        [/GET .*\/exec\/e1\/json/, json(200, { ID: "e1", ExitCode: 3, Running: false })],
      ],
      ["exec", "web", "sh", "-c", "exit 3"],
    );
    expect({ out, code }).toEqual({ out: "ok\n", code: 3 });
  });
});

describe("mistakes", () => {
  test.each([
    [
      ["run", "--foo"],
      125,
      "unknown flag: --foo\n\nUsage:  tug run [OPTIONS] IMAGE [COMMAND] [ARG...]\n\nRun 'tug run --help' for more information\n",
    ],
    [
      ["run"],
      1,
      "tug: 'tug run' requires at least 1 argument\n\nUsage:  tug run [OPTIONS] IMAGE [COMMAND] [ARG...]\n\nSee 'tug run --help' for more information\n",
    ],
    [
      ["ps", "x"],
      1,
      "tug: 'tug ps' accepts no arguments\n\nUsage:  tug ps [OPTIONS]\n\nRun 'tug ps --help' for more information\n",
    ],
    [["nope"], 1, "tug: unknown command: tug nope\n\nRun 'tug --help' for more information\n"],
    [
      ["container", "nope"],
      1,
      "tug: unknown command: tug container nope\n\nUsage:  tug container\n\nRun 'tug container --help' for more information\n",
    ],
    [
      ["--nope"],
      125,
      "unknown flag: --nope\n\nUsage:  tug [OPTIONS] COMMAND [ARG...]\n\nRun 'tug --help' for more information\n",
    ],
    [["run", "-it", "x"], 1, "the input device is not a TTY\n"],
    [
      ["run", "-d", "-a", "stdin", "x"],
      1,
      "conflicting options: cannot specify both --attach and --detach\n",
    ],
    [
      ["run", "-p", "99999:1", "x"],
      125,
      "tug: invalid hostPort: 99999\n\nRun 'tug run --help' for more information\n",
    ],
  ])("%j", async (argv, exit, message) => {
    const { err, code } = await tug([], argv);
    expect({ err, code }).toEqual({ err: message, code: exit });
    expect(heard).toEqual([]); // nothing was asked of the daemon
  });
});

test("several operands are tried each, told in order, and one failure makes the exit code 1", async () => {
  const { out, err, code } = await tug(
    [
      [/containers\/a\/stop/, "HTTP/1.1 204 No Content\r\nApi-Version: 1.51\r\n\r\n"],
      [/containers\/b\/stop/, json(404, { message: "No such container: b" })],
      [/containers\/c\/stop/, "HTTP/1.1 304 Not Modified\r\nApi-Version: 1.51\r\n\r\n"],
    ],
    ["stop", "-t", "3", "a", "b", "c"],
  );
  expect({ out, err, code }).toEqual({
    out: "a\nc\n",
    err: "Error response from daemon: No such container: b\n",
    code: 1,
  });
});

test("a daemon that hangs up in the middle is an error, not a hang", async () => {
  const { err, code } = await tug(
    [[/json/, (socket) => socket.end("HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\n[")]],
    ["ps"],
  );
  expect(code).toBe(1);
  expect(err).toContain("closed the connection within a reply");
});

test("a template that cannot be filled is told of where there is nothing to show, too, and with Docker's exit codes", async () => {
  const nothing: Rule[] = [
    [/containers\/json/, json(200, [])],
    [/events/, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"],
    [/version/, json(200, {})],
  ];
  const said = async (...argv: string[]) => {
    const { out, err, code } = await tug(nothing, argv);
    expect(out).toBe("");
    return `${code} ${err}`;
  };
  const field = (column: number, type: string) =>
    `template: :1:${column}: executing "" at <.Foo>: can't evaluate field Foo in type ${type}\n`;
  const ps = "1 failed to execute template: ";
  expect(await said("ps", "--format", "{{.Foo}}")).toBe(ps + field(2, "*formatter.ContainerContext"));
  expect(await said("ps", "-a", "--format", "table {{.Foo}}")).toBe(
    ps + field(8, "*formatter.ContainerContext"),
  );
  expect(await said("ps", "--format", "{{slice .ID 0 3}}")).toContain("index out of range: 3");
  expect(await said("ps", "--format", '{{.Label "x"}} {{.CreatedAt}} {{.Size}} {{.Ports}}')).toBe("0 ");
  const events = ["events", "--since", "0", "--until", "1", "--format"];
  expect(await said(...events, "{{.Foo}}")).toBe(`64 Error parsing format: ${field(2, "*events.Message")}`);
  expect(await said(...events, "{{.Actor.Attributes.name}} {{json .Actor}}")).toBe("0 ");
  expect(await said("version", "--format", "{{.Client")).toContain("64 template parsing error: ");
}, 60_000);
