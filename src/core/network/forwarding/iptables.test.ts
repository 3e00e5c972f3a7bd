import { expect, test } from "bun:test";
import { planIptables } from "./iptables.ts";

const base = ["-P INPUT ACCEPT", "-P FORWARD DROP", "-P OUTPUT ACCEPT"];
const wish = { instance: "tug", bridges: ["tug0"] };
const list = (...lines: readonly string[]) => [...base, ...lines, ""].join("\n");
const jump = "-m comment --comment tug -j tug-forward";
const chain = ["-A tug-forward -o tug0 -m comment --comment tug -j ACCEPT"];
chain.push("-A tug-forward -i tug0 -m comment --comment tug -j ACCEPT");

test("a firewall that accepts what it forwards is left alone", () => {
  expect(planIptables("-P FORWARD ACCEPT\n-A FORWARD -i eth0 -j DROP\n", wish)).toBeUndefined();
  expect(planIptables(list(), { ...wish, bridges: [] })).toBeUndefined();
});

test("without anybody's chain for it the jump stands at the top of FORWARD", () => {
  expect(planIptables(list("-A FORWARD -i eth0 -j DROP"), wish)).toBe(
    ["*filter", ":tug-forward - [0:0]", ...chain, `-I FORWARD 1 ${jump}`, "COMMIT", ""].join("\n"),
  );
});

test("a chain that ends by dropping everything counts as one that drops by policy", () => {
  for (const last of [
    "-j REJECT --reject-with icmp-host-prohibited",
    '-m comment --comment "no more" -j DROP',
  ])
    expect(planIptables(`-P FORWARD ACCEPT\n-A FORWARD ${last}\n`, wish)).toContain("-I FORWARD 1");
});

test("what is in place is not touched, wherever others put rules of theirs", () => {
  const ours = ["-N tug-forward", ...chain];
  expect(
    planIptables(list(...ours, "-A FORWARD -i cni0 -j ACCEPT", `-A FORWARD ${jump}`), wish),
  ).toBeUndefined();
  const behind = planIptables(list(...ours, "-A FORWARD -j DROP", `-A FORWARD ${jump}`), wish);
  expect(behind).toContain(`-D FORWARD ${jump}\n-I FORWARD 1 ${jump}`);
});

test("the administrator's own rules in DOCKER-USER and of ufw come first", () => {
  const docker = ["-N DOCKER-USER", "-A FORWARD -j DOCKER-USER", "-A DOCKER-USER -s 10.9.9.9/32 -j DROP"];
  expect(planIptables(list(...docker, "-A DOCKER-USER -j RETURN"), wish)).toContain(
    `-I DOCKER-USER 2 ${jump}`,
  );
  expect(planIptables(list(...docker), wish)).toContain(`-I DOCKER-USER 2 ${jump}`);
  const moved = planIptables(list(...docker, "-N tug-forward", ...chain, `-A FORWARD ${jump}`), wish);
  expect(moved).toContain(`-D FORWARD ${jump}\n-I DOCKER-USER 2 ${jump}`);
  const ufw = ["-A FORWARD -j ufw-before-logging-forward", "-A FORWARD -j ufw-before-forward"];
  expect(planIptables(list(...ufw, "-A FORWARD -j ufw-after-forward"), wish)).toContain(
    `-I FORWARD 3 ${jump}`,
  );
});

test("what goes into Docker's bridges is left to Docker", () => {
  const plan = planIptables(list("-A FORWARD -o docker0 -j DOCKER", "-A FORWARD -o tug0 -j DOCKER"), wish);
  expect(plan?.split("\n").slice(2, 5)).toEqual([
    chain[0] ?? "",
    "-A tug-forward -o docker0 -m comment --comment tug -j RETURN",
    chain[1] ?? "",
  ]);
});

test("the last network takes everything along", () => {
  const there = list("-N tug-forward", ...chain, `-A FORWARD ${jump}`);
  expect(planIptables(there, { ...wish, bridges: [] })).toBe(
    ["*filter", `-D FORWARD ${jump}`, "-F tug-forward", "-X tug-forward", "COMMIT", ""].join("\n"),
  );
});
