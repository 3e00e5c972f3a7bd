import { describe, expect, test } from "bun:test";
import { decode, encode, type Packet, type RecordType } from "dns-packet";
import { answerQuery, questionEnd } from "./answer.ts";
import type { DnsContainer } from "./protocol.ts";
import { Zone } from "./zone.ts";

const container = (
  id: string,
  names: readonly string[],
  ipv4: string,
  more: Partial<DnsContainer> = {},
): DnsContainer => ({
  id,
  pid: 1,
  startTime: "1",
  servers: [],
  external: true,
  networks: [
    {
      network: "n",
      networkName: "net",
      names,
      canonicalName: names[0] ?? id,
      ipv4,
      ipv6: "fd00::5",
      links: {},
    },
  ],
  ...more,
});
const query = (name: string, type: RecordType = "A", more: Partial<Packet> = {}) =>
  new Uint8Array(encode({ type: "query", id: 7, flags: 256, questions: [{ name, type }], ...more }));

function ask(zone: Zone, from: DnsContainer, message: Uint8Array, stream = false) {
  const verdict = answerQuery(zone, from, message, stream);
  if (verdict.kind !== "reply") return verdict.kind;
  const packet = decode(Buffer.from(verdict.packet));
  return {
    code: (packet.flags ?? 0) & 15,
    truncated: ((packet.flags ?? 0) & 512) !== 0,
    count: packet.answers?.length,
  };
}

describe("the resolver", () => {
  const zone = new Zone();
  const me = container("me", ["me"], "10.0.0.9");
  zone.put(me);
  for (let i = 0; i < 60; i++) zone.put(container(`c${i}`, [`c${i}`, "many"], `10.0.1.${i}`));

  test("forwards what it does not know", () => {
    expect(ask(zone, me, query("example.test"))).toBe("forward");
    expect(ask(zone, { ...me, external: false }, query("example.test"))).toMatchObject({ code: 2 });
  });

  test("truncates by what the client can take", () => {
    expect(ask(zone, me, query("many"))).toEqual({ code: 0, truncated: true, count: 0 });
    expect(ask(zone, me, query("many"), true)).toEqual({ code: 0, truncated: false, count: 60 });
    const edns: Packet = {
      additionals: [
        {
          type: "OPT",
          name: ".",
          udpPayloadSize: 4096,
          extendedRcode: 0,
          ednsVersion: 0,
          flags: 0,
          flag_do: false,
          options: [],
        },
      ],
    };
    expect(ask(zone, me, query("many", "A", edns))).toEqual({ code: 0, truncated: false, count: 60 });
  });

  test("never answers a response or a scrap, and says FORMERR or NOTIMP to the rest", () => {
    expect(ask(zone, me, query("me").subarray(0, 11))).toBe("ignore");
    const response = query("me");
    response[2] = 0x81;
    expect(ask(zone, me, response)).toBe("ignore");
    expect(ask(zone, me, query("me").subarray(0, 14))).toMatchObject({ code: 1 });
    const update = query("me");
    update[2] = 0x28;
    expect(ask(zone, me, update)).toMatchObject({ code: 4 });
  });

  test("survives any bytes", () => {
    let seed = 1;
    const random = () => {
      seed = (seed * 1103515245 + 12345) % 2147483648;
      return seed;
    };
    for (let i = 0; i < 3000; i++) {
      const bytes = Uint8Array.from({ length: random() % 80 }, () => random() % 256);
      if (bytes.length > 5 && i % 2) bytes.set([0, 7, 1, 0, 0, 1], 0);
      ask(zone, me, bytes);
      questionEnd(bytes);
    }
  });
});

describe("names", () => {
  test("belong to networks: who shares none does not see them", () => {
    const zone = new Zone();
    const a = container("a", ["a"], "10.0.0.1");
    const stranger = {
      ...container("b", ["b"], "10.9.0.1"),
      networks: [{ ...container("b", ["b"], "10.9.0.1").networks[0], network: "other" }],
    } as DnsContainer;
    zone.put(a);
    zone.put(stranger);
    expect(zone.lookup(stranger, "a")).toBeUndefined();
    expect(zone.lookup(a, "A.")?.ipv4).toEqual(["10.0.0.1"]);
    zone.delete("a");
    expect(zone.lookup(a, "a")).toBeUndefined();
    expect(zone.size).toBe(1);
  });

  test("given by a link are the container's own affair", () => {
    const zone = new Zone();
    const db = container("db-id", ["db", "0123456789ab"], "10.0.0.2");
    const plain = container("web-id", ["web"], "10.0.0.3").networks[0];
    const web = container("web-id", ["web"], "10.0.0.3", {
      networks: plain ? [{ ...plain, links: { store: "db", Byid: "0123456789abcdef" } }] : [],
    });
    zone.put(db);
    zone.put(web);
    expect(zone.lookup(web, "store")?.ipv4).toEqual(["10.0.0.2"]);
    expect(zone.lookup(web, "byid")?.ipv4).toEqual(["10.0.0.2"]);
    expect(zone.lookup(db, "store")).toBeUndefined();
  });

  test("are found from IPv6 addresses too", () => {
    const zone = new Zone();
    const a = container("a", ["a"], "10.0.0.1");
    zone.put(a);
    const nibbles = "fd000000000000000000000000000005".split("").reverse().join(".");
    expect(zone.reverse(a, `${nibbles}.ip6.arpa`)).toBe("a.net");
    expect(zone.reverse(a, "1.0.0.10.in-addr.arpa")).toBe("a.net");
    expect(zone.reverse(a, "x.in-addr.arpa")).toBeUndefined();
  });
});
