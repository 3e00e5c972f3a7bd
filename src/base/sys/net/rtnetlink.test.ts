import { afterAll, beforeAll, expect, test } from "bun:test";
import { SystemError } from "../libc.ts";
import { listAddresses, newAddressMessage } from "./addresses.ts";
import { deleteLinkMessage, getLink, listLinks, newLinkMessage, setLinkMessage } from "./links.ts";
import type { NetlinkSocket } from "./netlink.ts";
import { openRouteSocket } from "./netlink.ts";
import { inNetworkNamespace, type NetworkNamespace, openNetworkNamespace } from "./netns.ts";
import { listRoutes, newRouteMessage } from "./routes.ts";

let child: Bun.Subprocess<"ignore", "pipe", "ignore">;
let netns: NetworkNamespace;
let netlink: NetlinkSocket;

beforeAll(async () => {
  child = Bun.spawn(["unshare", "-n", "sh", "-c", "echo in; exec sleep 60"], {
    stdin: "ignore",
    stdout: "pipe",
    stderr: "ignore",
  });
  await child.stdout.getReader().read();
  netns = openNetworkNamespace(child.pid);
  netlink = inNetworkNamespace(netns.fd, openRouteSocket);
});
afterAll(async () => {
  netlink[Symbol.dispose]();
  netns[Symbol.dispose]();
  child.kill("SIGKILL");
  await child.exited;
});

test("a socket made inside a namespace works there, while the thread is at home again", () => {
  const home = openRouteSocket();
  netlink.run(newLinkMessage({ name: "br0", kind: { type: "bridge" }, mac: "02:42:00:00:00:01", mtu: 1400 }));
  expect(getLink(netlink, "br0")).toMatchObject({
    kind: "bridge",
    mac: "02:42:00:00:00:01",
    mtu: 1400,
    up: false,
  });
  expect(listLinks(home).some((link) => link.name === "br0" && link.mac === "02:42:00:00:00:01")).toBe(false);
  home[Symbol.dispose]();
});

test("a batch sets up a link with addresses and routes of both families", () => {
  const index = getLink(netlink, "br0")?.index ?? 0;
  const v4 = Uint8Array.of(10, 1, 0, 1);
  const v6 = Uint8Array.of(0xfd, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1);
  netlink.run(
    setLinkMessage(index, { up: true }),
    newAddressMessage(index, v4, 24),
    newAddressMessage(index, v6, 64),
    newRouteMessage({ family: 4, gateway: Uint8Array.of(10, 1, 0, 254), index }),
  );
  const addresses = listAddresses(netlink).filter((one) => one.index === index);
  expect(addresses).toContainEqual({ index, family: 4, address: v4, prefixLength: 24 });
  expect(addresses).toContainEqual({ index, family: 6, address: v6, prefixLength: 64 });
  const fallback = listRoutes(netlink).find((route) => route.prefixLength === 0 && route.family === 4);
  expect(fallback?.gateway).toEqual(Uint8Array.of(10, 1, 0, 254));
});

test("many addresses are listed whole, over several messages", () => {
  const index = getLink(netlink, "br0")?.index ?? 0;
  const many = Array.from({ length: 2000 }, (_, i) => Uint8Array.of(10, 9, i >> 8, i & 255));
  netlink.run(...many.map((address) => newAddressMessage(index, address, 32)));
  expect(listAddresses(netlink).filter((one) => one.address[0] === 10 && one.address[1] === 9)).toHaveLength(
    2000,
  );
});

test("what the kernel refuses is a SystemError with its name, and the rest of the batch is done", () => {
  const failures = netlink.batch([
    newLinkMessage({ name: "br0", kind: { type: "bridge" } }),
    newLinkMessage({ name: "br1", kind: { type: "bridge" } }),
    deleteLinkMessage("nothing"),
  ]);
  expect(failures.map(({ index, error }) => [index, error.code])).toEqual([
    [0, "EEXIST"],
    [2, "ENODEV"],
  ]);
  expect(getLink(netlink, "br1")).toBeDefined();
  expect(getLink(netlink, "nothing")).toBeUndefined();
  expect(() => netlink.run(deleteLinkMessage("nothing"))).toThrow(SystemError);
});

test("a namespace of a process that is gone cannot be opened", () => {
  expect(() => openNetworkNamespace(2 ** 22 + 1)).toThrow("no such file or directory");
});

test("the thread comes home from a section that throws", () => {
  const before = inNetworkNamespace(netns.fd, () => "inside");
  expect(before).toBe("inside");
  expect(() =>
    inNetworkNamespace(netns.fd, () => {
      throw new Error("in there");
    }),
  ).toThrow("in there");
  using home = openRouteSocket();
  expect(getLink(home, "br1")).toBeUndefined();
});
