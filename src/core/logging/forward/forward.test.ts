import { expect, test } from "bun:test";
import { createSocket } from "node:dgram";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createServer, type Server } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gunzipSync, inflateSync } from "node:zlib";
import { systemClock } from "../../../base/lib/clock.ts";
import { silentLog } from "../../../base/lib/log.ts";
import { errnoOf } from "../../../base/lib/storage-error.ts";
import { until } from "../../../base/lib/testdata/until.ts";
import {
  AF_UNIX,
  bind,
  closeFd,
  receiveFrom,
  SOCK_DGRAM,
  socket,
  unixAddress,
} from "../../../base/sys/net/sockets.ts";
import { fluentdDestination } from "../drivers/fluentd/fluentd.ts";
import { gelfDestination } from "../drivers/gelf/gelf.ts";
import { journaldDestination } from "../drivers/journald/journald.ts";
import { syslogDestination } from "../drivers/syslog/syslog.ts";
import type { ContainerLog } from "../logging.ts";
import { SpoolWriter, textOf } from "../testdata/writer.ts";
import { type Destination, ForwardLogDriver } from "./driver.ts";

class Fixture implements AsyncDisposable {
  readonly directory = mkdtempSync(join(tmpdir(), "tug-fwd-"));
  readonly #stack = new AsyncDisposableStack();
  log: ContainerLog | undefined;

  async open(
    destination: Destination,
    options: Record<string, string>,
  ): Promise<{ log: ContainerLog; writer: SpoolWriter }> {
    const driver = new ForwardLogDriver(destination, { clock: systemClock, log: silentLog });
    driver.validate(options);
    const log = await driver.open({
      id: "0123456789abcdef",
      name: "web",
      imageId: "sha256:fedcba9876543210",
      imageName: "busybox:1",
      created: "2024-01-01T00:00:00Z",
      command: "sh -c x",
      labels: { tier: "front" },
      env: [],
      directory: this.directory,
      options,
      reopen: async () => undefined,
    });
    this.log = log;
    this.#stack.defer(() => log.remove());
    return { log, writer: this.writer() };
  }

  writer(): SpoolWriter {
    const writer = new SpoolWriter(join(this.directory, "ctr.log"));
    this.#stack.defer(() => writer.close());
    return writer;
  }

  /** A TCP or socket-file server that collects what it is sent. */
  async server(path?: string, port = 0): Promise<Collector> {
    const collector = new Collector();
    await collector.listen(path, port);
    this.#stack.defer(() => collector.close());
    return collector;
  }

  /** One whose port another may have after it. */
  async passingServer(): Promise<Collector> {
    const collector = new Collector();
    await collector.listenBelow();
    this.#stack.defer(() => collector.close());
    return collector;
  }

  defer(run: () => void): void {
    this.#stack.defer(run);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#stack.disposeAsync();
    rmSync(this.directory, { recursive: true, force: true });
  }
}

class Collector {
  readonly #server: Server;
  #data: Buffer = Buffer.alloc(0);
  #wake: () => void = () => undefined;
  port = 0;

  constructor() {
    this.#server = createServer((client) => {
      client.on("data", (bytes) => {
        this.#data = Buffer.concat([this.#data, Buffer.from(bytes)]);
        this.#wake();
      });
      client.on("error", () => undefined);
      this.#clients.add(client);
    });
  }
  readonly #clients = new Set<{ destroy(): void }>();

  async listen(path: string | undefined, port: number): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      this.#server.once("error", reject);
      if (path === undefined) this.#server.listen(port, "127.0.0.1", resolve);
      else this.#server.listen(path, resolve);
    });
    const address = this.#server.address();
    this.port = typeof address === "object" && address ? address.port : 0;
  }

  /** On a port that can be listened on again, as the kernel gives those below ip_local_port_range to nobody by itself. */
  async listenBelow(): Promise<void> {
    for (let port = 20_000 + (process.pid % 10_000); ; port++) {
      try {
        return await this.listen(undefined, port);
      } catch (error) {
        if (errnoOf(error) !== "EADDRINUSE") throw error;
      }
    }
  }

  /** Everything received once the condition holds. */
  async until(condition: (data: Buffer) => boolean): Promise<Buffer> {
    while (!condition(this.#data)) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
    return this.#data;
  }

  async close(): Promise<void> {
    for (const client of this.#clients) client.destroy();
    await new Promise<void>((resolve) => this.#server.close(() => resolve()));
  }
}

/** Whether a client still holds its end of a connection to a TCP port of this host (proc(5): states 01 ESTABLISHED, 08 CLOSE_WAIT). */
function connected(port: number): boolean {
  const remote = `:${port.toString(16).toUpperCase().padStart(4, "0")}`;
  return readFileSync("/proc/net/tcp", "latin1")
    .split("\n")
    .map((line) => line.trim().split(/\s+/))
    .some(([, , to, state]) => to?.endsWith(remote) && (state === "01" || state === "08"));
}

async function udpServer(fixture: Fixture): Promise<{ port: number; next: () => Promise<Buffer> }> {
  const server = createSocket("udp4");
  await new Promise<void>((resolve) => server.bind(0, "127.0.0.1", resolve));
  fixture.defer(() => server.close());
  const queue: Buffer[] = [];
  let wake: () => void = () => undefined;
  server.on("message", (bytes) => {
    queue.push(Buffer.from(bytes));
    wake();
  });
  const next = async (): Promise<Buffer> => {
    for (;;) {
      const first = queue.shift();
      if (first) return first;
      await new Promise<void>((resolve) => {
        wake = resolve;
      });
    }
  };
  return { port: server.address().port, next };
}

const at = new Date(Date.UTC(2024, 4, 6, 7, 8, 9, 123));

test("syslog over TCP: severity by stream, tag, and lines put together", async () => {
  await using fixture = new Fixture();
  const server = await fixture.server();
  const { log, writer } = await fixture.open(syslogDestination({ clock: systemClock }), {
    "syslog-address": `tcp://127.0.0.1:${server.port}`,
    "syslog-format": "rfc3164",
    "syslog-facility": "local0",
    tag: "{{.Name}}/{{.ID}}",
  });
  writer.line("hel", { partial: true, at });
  writer.line("lo", { at });
  writer.line("bad", { stream: "stderr", at });
  const text = (await server.until((data) => data.toString().split("\n").length === 3)).toString();
  // RFC 3164's time is the host's own.
  const [day, hour, minute] = [at.getDate(), at.getHours(), at.getMinutes()].map(String);
  const time = `May ${day?.padStart(2)} ${hour?.padStart(2, "0")}:${minute?.padStart(2, "0")}:09`;
  const tail = /^ \S+ web\/0123456789ab\[\d+\]: (hello|bad)$/;
  const [first = "", second = "", last] = text.split("\n");
  expect([first, second].map((line) => line.slice(0, 5 + time.length))).toEqual([
    `<134>${time}`,
    `<131>${time}`,
  ]);
  expect([first, second, last].map((line) => tail.exec(line?.slice(5 + time.length) ?? "")?.[1])).toEqual([
    "hello",
    "bad",
    undefined,
  ]);
  expect(await textOf(log)).toBe("hello\nbad\n");
  expect(log.path).toBe("");
});

test("syslog in RFC 5424 counts its octets", async () => {
  await using fixture = new Fixture();
  const server = await fixture.server();
  const { writer } = await fixture.open(syslogDestination({ clock: systemClock }), {
    "syslog-address": `tcp://127.0.0.1:${server.port}`,
    "syslog-format": "rfc5424micro",
  });
  writer.line("x", { at });
  const text = (await server.until((data) => data.length > 0)).toString();
  const [, length, message] = /^(\d+) (.*)$/s.exec(text) ?? [];
  expect(Number(length)).toBe(Buffer.byteLength(message ?? ""));
  expect(message).toMatch(/^<30>1 2024-05-06T07:08:09\.123000Z \S+ 0123456789ab \d+ 0123456789ab - x$/);
});

test("a service that goes away and comes back gets every line", async () => {
  await using fixture = new Fixture();
  const first = await fixture.passingServer();
  const { log, writer } = await fixture.open(syslogDestination({ clock: systemClock }), {
    "syslog-address": `tcp://127.0.0.1:${first.port}`,
  });
  writer.line("one");
  await first.until((data) => data.includes("one"));
  await first.close();
  await until(() => !connected(first.port));
  writer.line("two");
  await log.stopped();
  writer.line("three");
  const second = await fixture.server(undefined, first.port);
  const text = (await second.until((data) => data.includes("three"))).toString();
  expect(text).toContain("two");
});

test("removing a container at once still delivers its last words", async () => {
  await using fixture = new Fixture();
  const server = await fixture.server();
  const { log, writer } = await fixture.open(syslogDestination({ clock: systemClock }), {
    "syslog-address": `tcp://127.0.0.1:${server.port}`,
  });
  for (let i = 0; i < 500; i++) writer.line(`line ${i}`);
  await log.stopped();
  await log.remove();
  const text = (await server.until((data) => data.includes("line 499"))).toString();
  expect(text.split("\n").length).toBe(501);
});

test("the next daemon goes on where the last one stopped", async () => {
  await using fixture = new Fixture();
  const server = await fixture.server();
  const options = { "syslog-address": `tcp://127.0.0.1:${server.port}` };
  const { writer } = await fixture.open(syslogDestination({ clock: systemClock }), options);
  writer.line("first");
  await server.until((data) => data.includes("first"));
  const place = join(fixture.directory, "log-cursor.json");
  await until(() => JSON.parse(readFileSync(place, "utf8")).offset === writer.size);
  await fixture.open(syslogDestination({ clock: systemClock }), options);
  writer.line("second");
  const text = (await server.until((data) => data.includes("second"))).toString();
  expect(text.split("first").length).toBe(2);
});

test("a container does not start when its service cannot be reached", async () => {
  await using fixture = new Fixture();
  // No port of the kernel's choice: somebody else might be given it meanwhile.
  await expect(
    fixture.open(syslogDestination({ clock: systemClock }), { "syslog-address": "tcp://127.0.0.1:1" }),
  ).rejects.toThrow("failed to initialize logging driver: dial tcp 127.0.0.1:1: connect: connection refused");
});

test("gelf by UDP is compressed JSON, in chunks when it is long", async () => {
  await using fixture = new Fixture();
  const server = await udpServer(fixture);
  const { writer } = await fixture.open(gelfDestination, {
    "gelf-address": `udp://127.0.0.1:${server.port}`,
    labels: "tier",
  });
  writer.line("hello", { stream: "stderr", at });
  const message = JSON.parse(gunzipSync(await server.next()).toString());
  expect(message).toMatchObject({
    version: "1.1",
    short_message: "hello",
    level: 3,
    timestamp: at.getTime() / 1000,
    _container_id: "0123456789abcdef",
    _container_name: "web",
    _image_name: "busybox:1",
    _tag: "0123456789ab",
    _tier: "front",
  });
  const noise = Buffer.from(crypto.getRandomValues(new Uint8Array(3000))).toString("base64");
  writer.line(noise);
  const parts = new Map<number, Buffer>();
  let count = 1;
  while (parts.size < count) {
    const chunk = await server.next();
    expect(chunk.subarray(0, 2)).toEqual(Buffer.of(0x1e, 0x0f));
    count = chunk[11] ?? 0;
    parts.set(chunk[10] ?? 0, chunk.subarray(12));
  }
  const whole = Buffer.concat([...parts].sort(([a], [b]) => a - b).map(([, bytes]) => bytes));
  expect(JSON.parse(gunzipSync(whole).toString()).short_message).toBe(noise);
});

test("gelf by TCP ends each message with a NUL; zlib and none are understood by UDP", async () => {
  await using fixture = new Fixture();
  const server = await fixture.server();
  const { writer } = await fixture.open(gelfDestination, {
    "gelf-address": `tcp://127.0.0.1:${server.port}`,
  });
  writer.line("a");
  writer.line("b");
  const data = await server.until((bytes) => bytes.filter((byte) => byte === 0).length === 2);
  expect(
    data
      .toString()
      .split("\0")
      .slice(0, 2)
      .map((one) => JSON.parse(one).short_message),
  ).toEqual(["a", "b"]);
  await using other = new Fixture();
  const udp = await udpServer(other);
  const opened = await other.open(gelfDestination, {
    "gelf-address": `udp://127.0.0.1:${udp.port}`,
    "gelf-compression-type": "zlib",
  });
  opened.writer.line("z");
  expect(JSON.parse(inflateSync(await udp.next()).toString()).short_message).toBe("z");
});

test("fluentd gets forward protocol entries", async () => {
  await using fixture = new Fixture();
  const server = await fixture.server();
  const { writer } = await fixture.open(fluentdDestination, {
    "fluentd-address": `127.0.0.1:${server.port}`,
    "fluentd-sub-second-precision": "true",
    tag: "t",
  });
  writer.line("hi", { at });
  const data = await server.until((bytes) => bytes.includes("log\xa2hi", 0, "latin1"));
  expect(data.subarray(0, 3)).toEqual(Buffer.of(0x93, 0xa1, 0x74));
  expect(data.readUInt16BE(3)).toBe(0xd700);
  expect(data.readUInt32BE(5)).toBe(Math.floor(at.getTime() / 1000));
  expect(data.readUInt32BE(9)).toBe(123_000_000);
  expect(data.includes("source\xa6stdout", 0, "latin1")).toBe(true);
  expect(data.includes("container_name\xa4/web", 0, "latin1")).toBe(true);
});

test("journald gets its native protocol", async () => {
  await using fixture = new Fixture();
  const path = join(fixture.directory, "journal.sock");
  const fd = socket(AF_UNIX, SOCK_DGRAM);
  fixture.defer(() => closeFd(fd));
  bind(fd, unixAddress(path));
  const { writer } = await fixture.open(journaldDestination({ clock: systemClock, socket: path }), {
    tag: "app",
    labels: "tier",
  });
  writer.line("hello", { stream: "stderr", at });
  const buffer = new Uint8Array(65536);
  let got = receiveFrom(fd, buffer);
  while (!got) {
    await Bun.sleep(2);
    got = receiveFrom(fd, buffer);
  }
  const text = Buffer.from(buffer.subarray(0, got.length)).toString();
  for (const line of [
    "MESSAGE=hello",
    "PRIORITY=3",
    "CONTAINER_NAME=web",
    "CONTAINER_TAG=app",
    "TIER=front",
  ]) {
    expect(text.split("\n")).toContain(line);
  }
  expect(text).toContain("SYSLOG_TIMESTAMP=2024-05-06T07:08:09.123000000Z");
});

test("options are checked in Docker's words", () => {
  const refused: readonly (readonly [Destination, Record<string, string>, string])[] = [
    [syslogDestination({ clock: systemClock }), { x: "1" }, "unknown log opt 'x' for syslog log driver"],
    [syslogDestination({ clock: systemClock }), { "syslog-facility": "odd" }, "invalid syslog facility"],
    [syslogDestination({ clock: systemClock }), { "syslog-format": "odd" }, "Invalid syslog format"],
    [syslogDestination({ clock: systemClock }), { "syslog-address": "ftp://x" }, "unsupported scheme: 'ftp'"],
    [
      syslogDestination({ clock: systemClock }),
      { "syslog-address": "x" },
      "should be in form proto://address, got x",
    ],
    [syslogDestination({ clock: systemClock }), { tag: "{{.Nope}}" }, "invalid tag template"],
    [gelfDestination, {}, "gelf-address is a required parameter"],
    [gelfDestination, { "gelf-address": "ftp://a:1" }, "gelf: endpoint needs to be TCP or UDP"],
    [
      gelfDestination,
      { "gelf-address": "tcp://a:1", "gelf-compression-type": "gzip" },
      "compression is only supported on UDP",
    ],
    [gelfDestination, { "gelf-address": "udp://a:1", "gelf-compression-level": "99" }, 'unknown value "99"'],
    [fluentdDestination, { "fluentd-address": "ftp://a" }, "unsupported scheme: 'ftp'"],
    [fluentdDestination, { "fluentd-async": "maybe" }, 'strconv.ParseBool: parsing "maybe": invalid syntax'],
    [fluentdDestination, { "cache-max-size": "odd" }, "invalid size: 'odd'"],
  ];
  for (const [destination, options, text] of refused) {
    const driver = new ForwardLogDriver(destination, { clock: systemClock, log: silentLog });
    expect(() => driver.validate(options)).toThrow(text);
  }
});
