// biome-ignore-all lint/suspicious/noTemplateCurlyInString: they are what is tested
import { expect, test } from "bun:test";
import { applyConfigChanges } from "./config-changes.ts";

test("every configuration instruction changes what it names and nothing else", () => {
  const config = applyConfigChanges({ Env: ["A=0", "B=1"], Cmd: ["old"] }, [
    'CMD ["a", "b"]',
    "ENTRYPOINT echo hi",
    'ENV A=1 C="x y" D=p\\ q',
    "ENV E the rest",
    "EXPOSE 80 53/udp 8000-8001",
    'LABEL a=b "c d"=e',
    "USER 1:2",
    'VOLUME ["/data"]',
    "VOLUME /a /b",
    "WORKDIR /srv",
    "WORKDIR app/../web",
    "STOPSIGNAL SIGINT",
    "ONBUILD RUN make",
    "HEALTHCHECK --interval=1m30s --retries=2 CMD true",
  ]);
  expect(config).toEqual({
    Cmd: ["a", "b"],
    Entrypoint: ["/bin/sh", "-c", "echo hi"],
    Env: ["A=1", "B=1", "C=x y", "D=p q", "E=the rest"],
    ExposedPorts: { "80/tcp": {}, "53/udp": {}, "8000/tcp": {}, "8001/tcp": {} },
    Labels: { a: "b", "c d": "e" },
    User: "1:2",
    Volumes: { "/data": {}, "/a": {}, "/b": {} },
    WorkingDir: "/srv/web",
    StopSignal: "SIGINT",
    OnBuild: ["RUN make"],
    Healthcheck: { Test: ["CMD-SHELL", "true"], Interval: 90e9, Retries: 2 },
  });
});

test("instructions that build are refused, as are unknown ones", () => {
  expect(() => applyConfigChanges({}, ["RUN true"])).toThrow("run is not a valid change command");
  expect(() => applyConfigChanges({}, ["FROB x"])).toThrow("frob is not a valid change command");
  expect(() => applyConfigChanges({}, ["ENV A"])).toThrow("ENV must have two arguments");
  expect(() => applyConfigChanges({}, ["EXPOSE 99999"])).toThrow("invalid containerPort: 99999");
});

test("variables are those of the image, shells too, and flags that there are not are refused", () => {
  const config = { Env: ["A=x"], Shell: ["/bin/zsh", "-c"], WorkingDir: "/w" };
  expect(applyConfigChanges(config, ["ENV B=$A-${C:-y}", "CMD echo $A", "WORKDIR $B\nUSER ${A}"])).toEqual({
    ...config,
    Env: ["A=x", "B=x-y"],
    Cmd: ["/bin/zsh", "-c", "echo $A"],
    WorkingDir: "/w/x-y",
    User: "x",
  });
  expect(() => applyConfigChanges({}, ["HEALTHCHECK --intervall=1s CMD x"])).toThrow(
    "unknown flag: --intervall (did you mean interval?)",
  );
  expect(() => applyConfigChanges({}, ["", " "])).toThrow("file with no instructions");
  expect(applyConfigChanges(config, [])).toBe(config);
});
