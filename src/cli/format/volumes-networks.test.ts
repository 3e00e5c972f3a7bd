import { expect, test } from "bun:test";
import type { NetworkSummary, Volume } from "../../base/spec/docker/api.gen.ts";
import { renderList } from "./list.ts";
import { naturalOrder } from "./natural-order.ts";
import { networkSpec } from "./networks.ts";
import { volumeSpec } from "./volumes.ts";

const volume: Volume = {
  Name: "data",
  Driver: "local",
  Mountpoint: "/var/lib/tug/volumes/data/_data",
  Labels: { a: "b" },
  Options: {},
  Scope: "local",
};
const network: NetworkSummary = {
  Name: "app",
  Id: "f".repeat(64),
  Created: "2026-11-21T06:03:44.827165884Z",
  Scope: "local",
  Driver: "bridge",
  EnableIPv4: true,
  EnableIPv6: false,
  Internal: true,
  Labels: { "com.example.rack-id": "7" },
};

test("volume ls shows driver and name", async () => {
  expect(await renderList(volumeSpec, [volume], { format: "" })).toBe(
    "DRIVER    VOLUME NAME\nlocal     data\n",
  );
  expect(await renderList(volumeSpec, [], { format: "" })).toBe("DRIVER    VOLUME NAME\n");
  expect(await renderList(volumeSpec, [volume], { format: "", quiet: true })).toBe("data\n");
});

test("volume ls knows every field of Docker's, those of cluster volumes too", async () => {
  expect(JSON.parse(await renderList(volumeSpec, [volume], { format: "json" }))).toEqual({
    Availability: "N/A",
    Driver: "local",
    Group: "N/A",
    Labels: "a=b",
    Links: "N/A",
    Mountpoint: "/var/lib/tug/volumes/data/_data",
    Name: "data",
    Scope: "local",
    Size: "N/A",
    Status: "N/A",
  });
});

test("network ls shows the short id, and --no-trunc the whole", async () => {
  expect(await renderList(networkSpec(false), [network], { format: "" })).toBe(
    "NETWORK ID     NAME      DRIVER    SCOPE\nffffffffffff   app       bridge    local\n",
  );
  expect(await renderList(networkSpec(true), [network], { format: "", quiet: true })).toBe(
    `${"f".repeat(64)}\n`,
  );
});

test("a label is a column headed by its last part", async () => {
  expect(
    await renderList(networkSpec(false), [network], {
      format: 'table {{.Name}}\t{{.Internal}}\t{{.IPv4}}\t{{.Label "com.example.rack-id"}}',
    }),
  ).toBe("NAME      INTERNAL   IPV4      rack id\napp       true       true      7\n");
});

test("a network's time is shown with its nanoseconds, in the zone that it is told in", async () => {
  const shown = (more: Partial<NetworkSummary> = {}) =>
    renderList(networkSpec(false), [{ ...network, ...more }], { format: "{{.CreatedAt}}" });
  expect(await shown()).toBe("2026-11-21 06:03:44.827165884 +0000 UTC\n");
  expect(await shown({ Created: "2026-11-21T06:03:44.5+00:07" })).toBe("2026-11-21 06:03:44.5 +0007 +0007\n");
});

test("names are listed as people count", () => {
  expect(["net10", "net2", "net1", "a", "net02"].sort(naturalOrder)).toEqual([
    "a",
    "net1",
    "net2",
    "net02",
    "net10",
  ]);
});
