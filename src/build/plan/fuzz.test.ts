// biome-ignore-all lint/suspicious/noTemplateCurlyInString: they are what is tested
import { expect, test } from "bun:test";
import { TugError } from "../../base/lib/errors.ts";
import { randomNumbers } from "../../base/lib/testdata/random-numbers.ts";
import type { InputIndex, Vertex } from "../graph.ts";
import { inOrder } from "../in-order.ts";
import type { BuildPlan } from "../plan.ts";
import { amd64, planOf } from "./testdata/plans.ts";
import { printPlan } from "./testdata/print-plan.ts";

const lines = [
  ...[
    "FROM base",
    "FROM scratch AS s",
    "FROM s",
    "FROM base AS t",
    "FROM t AS s",
    "FROM $G",
    "ARG G=base:$V",
  ],
  ...[
    "FROM --platform=$BUILDPLATFORM base AS x",
    "ARG A=$B",
    "ARG A B=${A:-1}",
    "ENV A=$A$A B=$B$A",
    "ENV A b",
  ],
  ...["COPY a b /", "COPY --from=s / x/", "COPY --from=0 / /", "COPY --from=1 / /", "COPY --from=image / /"],
  ...[
    "COPY --link --chown=$A a/../../b ../../c",
    "COPY <<E /$A\n$B ${A#?}\nE",
    "ADD https://h/$A /",
    "ADD h@h:x.git#a:b /",
  ],
  ...[
    "COPY --parents --exclude=*.o ./*/./$A /",
    "RUN x $A",
    "RUN <<E\n#!x\nE",
    "RUN cat <<A <<-B\nA\n\tB",
    "RUN []",
  ],
  ...["RUN --mount=from=s,target=/a --mount=type=cache,target=$A x", "RUN --mount=target=$B,source=../$A x"],
  ...[
    "RUN --mount=type=secret,id=$A --mount=type=ssh --mount=type=tmpfs,target=/t x",
    "WORKDIR $A",
    "WORKDIR /a/../$B",
  ],
  ...[
    "ONBUILD RUN $A",
    "ONBUILD COPY --from=t / /",
    "ONBUILD FOO",
    "EXPOSE $A 1-3 80/udp",
    "VOLUME $A /b",
    "USER $A:1",
  ],
  ...[
    "LABEL $A=$B",
    "CMD $A",
    'ENTRYPOINT ["$A"]',
    'SHELL ["a"]',
    "HEALTHCHECK CMD x",
    "STOPSIGNAL $A",
    "STOPSIGNAL 9",
  ],
];
const values = ["", "x", "/", "..", "a b", "$A", "'", "\\", "é", "1", "linux/arm64", "scratch", "__proto__"];

test("Files made at random are planned, or refused with an error of ours", () => {
  let planned = 0;
  for (const seed of [1, 2, 3]) {
    const random = randomNumbers(seed);
    const pick = <T>(list: readonly T[]): T => list[Math.floor(random() * list.length)] as T;
    for (let round = 0; round < 300; round++) {
      const count = Math.ceil(random() * 12);
      const body = Array.from({ length: count }, () => pick(lines)).join("\n");
      const buildArgs = { A: pick(values), B: pick(values), V: pick(values), __proto__: pick(values) };
      const text = `ARG V\nFROM base AS s\n${body}`;
      if (isPlanned(text, buildArgs)) planned++;
    }
  }
  // Most are refused, but by far not all.
  expect(planned).toBeGreaterThan(100);
}, 60_000);

function isPlanned(text: string, buildArgs: Readonly<Record<string, string>>): boolean {
  let plan: BuildPlan;
  try {
    plan = planOf(text, { buildArgs, platforms: [amd64, { os: "linux", architecture: "arm64" }] });
  } catch (error) {
    if (error instanceof TugError) return false;
    throw new Error(`${JSON.stringify([text, buildArgs])}: ${error}`, { cause: error });
  }
  for (const target of plan.targets) {
    const { history = [] } = target.config;
    const made = history.slice(target.inheritedHistory).filter((entry) => !entry.empty_layer);
    expect(target.layers.length).toBe(made.length);
    for (const vertex of inOrder(target.root ? [target.root] : [])) checkInputs(vertex);
  }
  expect(printPlan(plan)).not.toContain("#undefined");
  expect(JSON.stringify(planOf(text, { buildArgs, platforms: [amd64] }).targets[0])).toBe(
    JSON.stringify(planOf(text, { buildArgs, platforms: [amd64] }).targets[0]),
  );
  return true;
}

/** Whatever an operation reads is an input. */
function checkInputs({ op, inputs }: Vertex): void {
  const read: InputIndex[] = [];
  if (op.kind === "exec")
    read.push(op.root, ...op.mounts.map((mount) => ("from" in mount ? mount.from : undefined)));
  if (op.kind === "restack") read.push(op.root, op.layer);
  if (op.kind === "file")
    read.push(op.root, ...op.actions.map((action) => (action.kind === "copy" ? action.from : undefined)));
  for (const index of read) expect(index === undefined || index < inputs.length).toBe(true);
}

test("Files of thousands of instructions are planned in time in proportion", () => {
  const began = performance.now();
  const many = (line: (i: number) => string, count: number) =>
    `FROM base AS s0\n${Array.from({ length: count }, (_, i) => line(i)).join("\n")}`;
  for (const text of [
    many(() => "RUN x", 1500),
    many((i) => `COPY f${i} /`, 1500),
    many((i) => `ENV v${i}=1`, 1500),
    many((i) => `LABEL l${i}=$NO${i}`, 1500),
    many((i) => `FROM s${i} AS s${i + 1}\nCOPY --from=s${i} / /`, 800),
    many((i) => `RUN --mount=type=cache,target=/c${i} x`, 1500),
    many(() => "FROM s0\nRUN y", 1200),
  ])
    planOf(text);
  expect(performance.now() - began).toBeLessThan(60_000);
}, 90_000);
