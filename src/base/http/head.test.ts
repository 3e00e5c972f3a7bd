import { describe, expect, test } from "bun:test";
import { bodyFraming, encodeHead, hasToken, parseHead } from "./head.ts";

const parse = (...lines: string[]) => parseHead(lines.join("\r\n"));

describe("parseHead", () => {
  test("reads method, target and lower-case header names", () => {
    const head = parse("GET /v1.44/_ping?a=b HTTP/1.1", "Host: docker", "X-Registry-Auth:  abc ");
    expect(head.method).toBe("GET");
    expect(head.target).toBe("/v1.44/_ping?a=b");
    expect(head.minor).toBe(1);
    expect(head.headers.get("x-registry-auth")).toBe("abc");
  });
  test("joins repeated fields", () => {
    expect(parse("GET / HTTP/1.1", "Host: a", "Accept: x", "accept: y").headers.get("accept")).toBe("x, y");
  });
  const refused: readonly (readonly string[])[] = [
    ["GET / HTTP/2.0", "Host: a"],
    ["GET  / HTTP/1.1", "Host: a"],
    ["GET /a b HTTP/1.1", "Host: a"],
    ["G(T / HTTP/1.1", "Host: a"],
    ["GET / HTTP/1.1"],
    ["GET / HTTP/1.1", "Host: a", "Bad Name: x"],
    ["GET / HTTP/1.1", "Host: a", "Name : x"],
    ["GET / HTTP/1.1", "Host: a", " folded"],
    ["GET / HTTP/1.1", "Host: a", "X: a\nY: b"],
    [""],
  ];
  for (const lines of refused) {
    test(`refuses ${JSON.stringify(lines)}`, () => {
      expect(() => parse(...lines)).toThrow("malformed HTTP request");
    });
  }
});

describe("bodyFraming", () => {
  const framing = (...lines: string[]) => bodyFraming(parse("POST / HTTP/1.1", "Host: a", ...lines));
  test("knows length, chunked and none", () => {
    expect(framing("Content-Length: 12")).toBe(12);
    expect(framing("Transfer-Encoding: Chunked")).toBe("chunked");
    expect(framing()).toBe(0);
  });
  const ambiguous: readonly (readonly string[])[] = [
    ["Content-Length: 12", "Transfer-Encoding: chunked"],
    ["Content-Length: 1", "Content-Length: 2"],
    ["Content-Length: -1"],
    ["Content-Length: 0x10"],
    ["Transfer-Encoding: gzip, chunked"],
  ];
  for (const lines of ambiguous) {
    test(`refuses the ambiguous ${JSON.stringify(lines)}`, () => {
      expect(() => framing(...lines)).toThrow("malformed HTTP request");
    });
  }
});

test("hasToken looks at whole tokens in any case", () => {
  const headers = new Map([["connection", "keep-alive, Upgrade"]]);
  expect(hasToken(headers, "connection", "upgrade")).toBe(true);
  expect(hasToken(headers, "connection", "up")).toBe(false);
});

test("encodeHead lets no line break through", () => {
  const text = encodeHead(200, "OK", { A: "x\r\nInjected: y", B: undefined, C: ["1", "2"] });
  expect(text).toBe("HTTP/1.1 200 OK\r\nA: x Injected: y\r\nC: 1\r\nC: 2\r\n\r\n");
});
