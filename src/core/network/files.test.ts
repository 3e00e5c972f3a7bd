import { describe, expect, test } from "bun:test";
import { hostsFile, parseResolvConf, resolvConf } from "./files.ts";

const host = `# made by DHCP
nameserver 127.0.0.53
nameserver 192.0.2.53 # office
nameserver fe80::1%eth0
search old.example
search lan.example home.example
options edns0 trust-ad
`;
const none = { host, servers: [], search: [], options: [] };

test("resolv.conf is read as the C library reads it", () => {
  expect(parseResolvConf(host)).toEqual({
    nameservers: ["127.0.0.53", "192.0.2.53", "fe80::1%eth0"],
    search: ["lan.example", "home.example"],
    options: ["edns0", "trust-ad"],
  });
});

describe("a container's resolv.conf", () => {
  test("has the host's servers that it can reach", () => {
    expect(resolvConf(none)).toBe(
      "nameserver 192.0.2.53\nsearch lan.example home.example\noptions edns0 trust-ad\n",
    );
  });

  test("falls back to public servers when there is none", () => {
    expect(resolvConf({ ...none, host: "nameserver 127.0.0.1\nnameserver ::1\n" })).toBe(
      "nameserver 8.8.8.8\nnameserver 8.8.4.4\n",
    );
  });

  test("is the host's own on the host's network", () => {
    expect(resolvConf({ ...none, hostNetwork: true })).toContain("nameserver 127.0.0.53\n");
  });

  test("names the resolver of user-defined networks, and keeps what the user asked for", () => {
    expect(resolvConf({ ...none, resolver: "127.0.0.11", servers: ["192.0.2.1"] })).toBe(
      "nameserver 127.0.0.11\nsearch lan.example home.example\noptions edns0 trust-ad ndots:0\n",
    );
    expect(resolvConf({ ...none, resolver: "127.0.0.11", options: ["ndots:3"], search: ["."] })).toBe(
      "nameserver 127.0.0.11\noptions ndots:3\n",
    );
    expect(resolvConf({ ...none, servers: ["192.0.2.1"], search: ["a.example"] })).toBe(
      "nameserver 192.0.2.1\nsearch a.example\noptions edns0 trust-ad\n",
    );
  });
});

describe("a container's hosts file", () => {
  const base = {
    hostname: "box",
    addresses: ["172.17.0.2", ""],
    extra: [],
    hostGateway: ["172.17.0.1"],
    hostInternal: ["172.17.0.1"],
    ipv6: true,
  };

  test("names itself and the host", () => {
    const text = hostsFile(base);
    expect(text).toContain("127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n");
    expect(text).toContain("172.17.0.1\thost.docker.internal\n");
    expect(text).toEndWith("172.17.0.2\tbox\n");
    expect(hostsFile({ ...base, domainname: "lan.example" })).toEndWith("172.17.0.2\tbox.lan.example box\n");
  });

  test("has what --add-host says, where host-gateway is the host and its own name can be taken over", () => {
    const text = hostsFile({
      ...base,
      extra: ["db:10.0.0.5", "gw:host-gateway", "six=[fd00::1]", "host.docker.internal:10.9.9.9"],
    });
    expect(text).toContain("10.0.0.5\tdb\n172.17.0.1\tgw\nfd00::1\tsix\n10.9.9.9\thost.docker.internal\n");
    expect(text).not.toContain("172.17.0.1\thost.docker.internal");
  });
});
