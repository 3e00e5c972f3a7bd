import { expect } from "bun:test";
import { encode } from "dns-packet";
import {
  createShape,
  execCreateShape,
  hostConfigShape,
  updateShape,
} from "../../../src/api/decode/container.ts";
import { jsonSyntaxError } from "../../../src/api/decode/json-error.ts";
import { connectShape, networkCreateShape } from "../../../src/api/decode/network.ts";
import { decode, type Shape } from "../../../src/api/decode/shape.ts";
import { parseFilters } from "../../../src/api/filters.ts";
import { registryAuth } from "../../../src/api/registry-auth.ts";
import { splitVersion } from "../../../src/api/version.ts";
import { ChunkedDecoder } from "../../../src/base/http/chunked.ts";
import { bodyFraming, encodeHead, parseHead } from "../../../src/base/http/head.ts";
import { TugError } from "../../../src/base/lib/errors.ts";
import { stdcopyHeader } from "../../../src/base/lib/stdcopy.ts";
import { attributeList, attributes, NetlinkMessage } from "../../../src/base/sys/net/netlink.ts";
import { decodeStat } from "../../../src/client/containers/archive-stat.ts";
import type { Connection } from "../../../src/client/http/connection.ts";
import { Body, readHead } from "../../../src/client/http/response.ts";
import { demultiplex } from "../../../src/client/stream/frames.ts";
import { answerQuery } from "../../../src/core/network/dns/answer.ts";
import { Zone } from "../../../src/core/network/dns/zone.ts";
import { Filters } from "../../../src/engine/filters/filters.ts";
import { fuzz } from "../../harness/fuzz.ts";

/** What comes over sockets: HTTP both ways, JSON, streams, DNS, netlink. */
fuzz({
  name: "heads of requests, of which no header can be smuggled on",
  seeds: [
    "GET /v1.51/containers/json?all=1 HTTP/1.1\r\nHost: a\r\nContent-Length: 5",
    "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nX: y",
    "GET / HTTP/1.0",
  ],
  words: [
    "\r\n",
    "Transfer-Encoding: chunked\r\n",
    "Content-Length: 1\r\n",
    "HTTP/1.1",
    " :",
    "\n ",
    "\u000b",
  ],
  run: (input) => {
    const head = parseHead(input.toString("latin1"));
    bodyFraming(head);
    for (const [name, value] of head.headers) expect(`${name}${value}`).not.toMatch(/[\r\n\0]/);
    expect(encodeHead(200, "OK", { "X-Echo": [...head.headers.values()] }).split("\r\n\r\n").length).toBe(2);
  },
});
fuzz({
  name: "chunked bodies, cut anywhere",
  seeds: ["5\r\nhello\r\n0\r\n\r\n", "a;ext=1\r\n0123456789\r\n0\r\nTrailer: x\r\n\r\nGET /"],
  words: ["0\r\n\r\n", "ffffffffffff\r\n", "\r\n", ";"],
  run: (input) => {
    const read = (size: number) => {
      const decoder = new ChunkedDecoder();
      let text = "";
      try {
        for (let at = 0; at < input.length && !decoder.done; at += size)
          decoder.feed(input.subarray(at, at + size), (piece) => {
            text += Buffer.from(piece).toString("latin1");
          });
      } catch (error) {
        if (!(error instanceof TugError)) throw error;
        return "refused";
      }
      return `${decoder.done} ${text}`;
    };
    expect(read(3)).toBe(read(input.length || 1));
  },
});

/** A daemon's reply as it comes off a socket. */
function connectionOf(bytes: Buffer, size: number): Connection {
  let left = bytes;
  let back: Uint8Array | undefined;
  const unused = () => {
    throw new Error("not for reading");
  };
  return {
    read: () => {
      const given = back ?? left.subarray(0, size);
      if (back === undefined) left = left.subarray(given.length);
      back = undefined;
      return given.length === 0 ? null : given;
    },
    unread: (chunk: Uint8Array) => {
      back = chunk.length === 0 ? back : back ? Buffer.concat([chunk, back]) : chunk;
    },
    write: unused,
    end: unused,
    close: () => undefined,
  } as unknown as Connection;
}

fuzz({
  name: "replies to our client",
  seeds: [
    "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}",
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
    "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.0 500 X\r\n\r\nall the rest",
  ],
  words: ["HTTP/1.1 100 Continue\r\n\r\n", "\r\n\r\n", "Content-Length: 9", "chunked", "0\r\n\r\n"],
  run: async (input) => {
    const connection = connectionOf(input, 1 + (input.length % 50));
    const head = await readHead(connection);
    const text = await new Body(connection, head, false, () => undefined).text();
    expect(text.length).toBeLessThanOrEqual(input.length);
  },
});
fuzz({
  name: "multiplexed streams, cut anywhere",
  seeds: [
    Buffer.concat([
      stdcopyHeader("stdout", 5),
      Buffer.from("hello"),
      stdcopyHeader("stderr", 0),
      stdcopyHeader("stdin", 1),
      Buffer.from("x"),
    ]),
  ],
  words: ["\x01\0\0\0\0\0\0\x05", "\x02\0\0\0\xff\xff\xff\xff"],
  run: async (input) => {
    let got = 0;
    const count = (payload: Uint8Array) => {
      got += payload.length;
      return undefined;
    };
    let at = -5;
    const next = () => {
      at += 5;
      return at < input.length ? input.subarray(at, at + 5) : null;
    };
    try {
      await demultiplex({ next }, { stdout: count, stderr: count });
    } finally {
      expect(got).toBeLessThan(input.length + 1);
    }
  },
});

const create = {
  Image: "a",
  Cmd: ["x"],
  Env: ["A=b"],
  Labels: { a: "b" },
  ExposedPorts: { "80/tcp": {} },
  Healthcheck: { Test: ["NONE"], Interval: 5 },
  HostConfig: {
    Binds: ["/a:/b"],
    Memory: 5,
    PortBindings: { "80/tcp": [{ HostPort: "1" }] },
    Ulimits: [{ Name: "x", Soft: 1, Hard: 2 }],
    RestartPolicy: { Name: "no" },
    Mounts: [{ Type: "bind", Source: "/a", Target: "/b" }],
  },
  NetworkingConfig: { EndpointsConfig: { n: { IPAMConfig: { IPv4Address: "1.2.3.4" }, Aliases: ["x"] } } },
}; // prettier-ignore
const shapes: readonly (readonly [string, Shape<unknown>, object])[] = [
  ["create", createShape, create],
  ["update", updateShape, { Memory: 1, RestartPolicy: { Name: "always" } }],
  ["host config", hostConfigShape, create.HostConfig],
  ["exec", execCreateShape, { Cmd: ["a"], Env: ["A=b"], Tty: true }],
  [
    "network",
    networkCreateShape,
    { Name: "n", IPAM: { Config: [{ Subnet: "10.0.0.0/8" }] }, Options: { a: "b" } },
  ],
  ["connect", connectShape, { Container: "c", EndpointConfig: { Aliases: ["x"] } }],
];
for (const [name, shape, seed] of shapes) {
  fuzz({
    name: `JSON of a request: ${name}`,
    seeds: [JSON.stringify(seed)],
    words: ["HostConfig", "null", "true", "1.5", "{}", "[]", '"a":', "1e400", "[".repeat(2000)],
    run: (input) => {
      const text = input.toString();
      let value: unknown;
      try {
        value = JSON.parse(text);
      } catch {
        expect(jsonSyntaxError(text)).toBeString();
        return;
      }
      if (value !== null) decode(shape, value, "Request");
      expect(Object.hasOwn(Object.prototype, "a")).toBe(false);
    },
  });
}
fuzz({
  name: "filters, of the API and of events",
  seeds: [
    '{"label":{"a=b":true},"status":["running"]}',
    '{"until":["10m"],"dangling":["false"]}',
    '{"type":["container"],"event":["start"]}',
  ],
  words: ["__proto__", "label", "until", "true", "[]"],
  run: (input) => {
    const filters = parseFilters(input.toString());
    expect([Object.prototype, null]).toContain(Object.getPrototypeOf(filters));
    const parsed = Filters.parse(filters);
    parsed.bool("dangling", false);
    parsed.timestamp("until", 0);
    parsed.matchLabels("label", { a: "b" });
  },
});
fuzz({
  name: "X-Registry-Auth",
  seeds: [Buffer.from('{"username":"a","password":"b","serveraddress":"c"}').toString("base64url"), "e30="],
  run: (input) => registryAuth(new Map([["x-registry-auth", input.toString("latin1")]])),
});
fuzz({
  name: "X-Docker-Container-Path-Stat",
  seeds: [
    Buffer.from('{"name":"a","size":1,"mode":420,"mtime":"2020-01-01T00:00:00Z","linkTarget":""}').toString(
      "base64",
    ),
  ],
  run: (input) => decodeStat(input.toString("latin1")),
});
fuzz({
  name: "versions in paths",
  seeds: ["/v1.51/info", "/info", "/v1.9999999/x"],
  run: (input) => splitVersion(input.toString("latin1")),
});

const container = {
  id: "c",
  pid: 1,
  startTime: "1",
  servers: [],
  external: true,
  networks: [
    {
      network: "n",
      networkName: "net",
      names: ["web", "c"],
      canonicalName: "web",
      ipv4: "10.0.0.2",
      ipv6: "fd00::2",
      links: { db: "web" },
    },
  ],
}; // prettier-ignore
const zone = new Zone();
zone.put(container);
const question = (name: string, type: "A" | "AAAA" | "PTR") =>
  encode({ type: "query", id: 7, flags: 256, questions: [{ name, type }] });
fuzz({
  name: "DNS queries",
  seeds: [question("web", "A"), question("db.net", "AAAA"), question("2.0.0.10.in-addr.arpa", "PTR")],
  // Compression pointers to themselves and to each other; long labels.
  words: ["\xc0\x0c", "\xc0\x00", "\x3f", "\xff", "\0\0\x29\x10\0"],
  refusals: [],
  run: (input) => {
    for (const stream of [false, true]) {
      const verdict = answerQuery(zone, container, input, stream);
      if (verdict.kind !== "reply") continue;
      expect(verdict.packet.length).toBeLessThanOrEqual(65_535);
      expect([verdict.packet[0], verdict.packet[1]]).toEqual([input[0], input[1]]);
      expect((verdict.packet[2] ?? 0) & 0x80).toBe(0x80);
    }
  },
});
const message = new NetlinkMessage(16, 0, Buffer.alloc(16), "x")
  .u32(1, 7)
  .text(3, "eth0")
  .nested(5, (inner) => inner.u16(1, 9));
fuzz({
  name: "attributes of netlink",
  seeds: [Buffer.from(message.encode(1)).subarray(32)],
  refusals: [],
  run: (input) => {
    for (const value of attributes(input).values()) attributeList(value);
    expect(attributeList(input).reduce((sum, each) => sum + each.length, 0)).toBeLessThanOrEqual(
      input.length,
    );
  },
});
