import { describe, expect, test } from "bun:test";
import { exec, failure, file, first, named, names, op } from "../testdata/looks.ts";
import { planOf } from "../testdata/plans.ts";

describe("RUN", () => {
  test("runs in the stage's directory, as its user, with its environment", () => {
    expect(
      exec("FROM base\nENV A=1\nUSER u:g\nWORKDIR /w/\nRUN x", {
        network: "none",
        hostname: "h",
        shmSize: 5,
      }),
    ).toMatchObject({
      root: 0,
      args: ["/bin/sh", "-c", "x"],
      env: ["PATH=/bin", "A=1"],
      cwd: "/w",
      user: "u:g",
      network: "none",
      hostname: "h",
      shmSize: 5,
      security: "sandbox",
    });
    expect(exec("FROM base\nRUN --network=host --security=insecure x", { network: "none" })).toMatchObject({
      network: "host",
      security: "insecure",
    });
  });

  test("has mounts of all kinds", () => {
    const plan = planOf(
      [
        "FROM base AS dep",
        "RUN d",
        "FROM base",
        "WORKDIR /w",
        "ARG D=deep",
        "RUN --mount=from=dep,source=/s/$D,target=rel --mount=type=cache,target=/c --mount=type=cache,id=i,target=/e,from=dep,source=q,sharing=locked,mode=0700,uid=3 --mount=type=tmpfs,target=/t,size=1k --mount=type=secret,id=a/key --mount=type=secret,id=tok,env=TOK,required --mount=type=ssh x",
      ].join("\n"),
    );
    const vertex = named(plan, "RUN --mount");
    expect(op(vertex, "exec").mounts).toEqual([
      { kind: "bind", target: "/w/rel", from: 1, source: "s/deep", readonly: true },
      {
        kind: "cache",
        target: "/c",
        id: "/c",
        sharing: "shared",
        from: undefined,
        source: "",
        readonly: false,
        mode: 0o755,
        uid: 0,
        gid: 0,
      },
      {
        kind: "cache",
        target: "/e",
        id: "i",
        sharing: "locked",
        from: 1,
        source: "q",
        readonly: false,
        mode: 0o700,
        uid: 3,
        gid: 0,
      },
      { kind: "tmpfs", target: "/t", size: 1024 },
      {
        kind: "secret",
        target: "/run/secrets/key",
        env: undefined,
        id: "a/key",
        required: false,
        mode: 0o400,
        uid: 0,
        gid: 0,
      },
      {
        kind: "secret",
        target: undefined,
        env: "TOK",
        id: "tok",
        required: true,
        mode: 0o400,
        uid: 0,
        gid: 0,
      },
      {
        kind: "ssh",
        target: "/run/buildkit/ssh_agent.0",
        id: "default",
        required: false,
        mode: 0o600,
        uid: 0,
        gid: 0,
      },
    ]);
    expect(op(vertex, "exec").env).toContain("SSH_AUTH_SOCK=/run/buildkit/ssh_agent.0");
    expect(vertex.inputs.map((input) => input.name)).toEqual(["[stage-1 2/3] WORKDIR /w", "[dep 2/2] RUN d"]);
    for (const [mount, message] of [
      ["target=/", 'invalid mount target "/"'],
      ["type=ssh,source=x", "ssh does not support source"],
      ["type=cache,target=../../..", 'invalid mount target "/"'],
    ] as const)
      expect(failure(`FROM base\nRUN --mount=${mount} x`).message).toBe(message);
  });

  test("of a script with a #! runs it as a file", () => {
    const plan = planOf("FROM base\nRUN <<-E\n\t#!/bin/x\n\ty\n\tE\n");
    const vertex = named(plan, "RUN <<-E (#!/bin/x...)");
    expect(op(vertex, "exec")).toMatchObject({
      args: ["/bin/sh", "-c", "/dev/pipes/E"],
      mounts: [{ kind: "bind", target: "/dev/pipes", from: 1, source: "", readonly: true }],
    });
    expect(op(first(vertex.inputs.slice(1)), "file").actions).toMatchObject([
      { kind: "write", path: "/E", mode: 0o755, content: "#!/bin/x\ny\n" },
    ]);
  });

  test("shows variables in its name, but no secret's value", () => {
    const text = "FROM base\nARG V=1\nENV T=old\nRUN --mount=type=secret,id=s,env=T echo $V '$V' $T $NO";
    expect(names(planOf(text)).at(-1)).toEndWith("echo 1 '$V' **** $NO");
  });
});

test("WORKDIR makes the directory as the user", () => {
  expect(file("FROM base\nUSER u\nWORKDIR /a/b").actions).toEqual([
    { kind: "mkdir", path: "/a/b", mode: 0o755, owner: { user: "u", group: undefined } },
  ]);
});
