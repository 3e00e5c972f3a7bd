import { expect, test } from "bun:test";
import { systemClock } from "../../../base/lib/clock.ts";
import { silentLog } from "../../../base/lib/log.ts";
import { LogFixture } from "../testdata/writer.ts";
import { FileLogDriver } from "./file.ts";

const driver = new FileLogDriver("json-file", { clock: systemClock, log: silentLog });

test("options are checked in Docker's words", () => {
  const refused: readonly (readonly [Record<string, string>, string])[] = [
    [{ colour: "red" }, "unknown log opt 'colour' for json-file log driver"],
    [{ "max-size": "big" }, "invalid size: 'big'"],
    [{ "max-file": "0" }, "max-file cannot be less than 1"],
    [{ "max-file": "x" }, 'strconv.Atoi: parsing "x": invalid syntax'],
    [{ compress: "maybe" }, 'strconv.ParseBool: parsing "maybe": invalid syntax'],
    [{ mode: "fast" }, "logger: logging mode not supported: fast"],
    [{ "max-buffer-size": "1m" }, "max-buffer-size option is only supported with 'mode=non-blocking'"],
    [{ "env-regex": "(" }, "error parsing regexp"],
  ];
  for (const [options, text] of refused) expect(() => driver.validate(options)).toThrow(text);
  driver.validate({
    "max-size": "10m",
    "max-file": "3",
    compress: "true",
    labels: "a",
    env: "B",
    tag: "{{.Name}}",
  });
  driver.validate({ mode: "non-blocking", "max-buffer-size": "4m" });
});

test("a log is bounded unless the bound is lifted, and conmon's own limit lies above", async () => {
  await using fixture = new LogFixture();
  const log = await fixture.open();
  expect(log.monitorLimit).toBe(100 * 1024 * 1024);
  expect(log.monitorTarget).toBe(`k8s-file:${fixture.directory}/ctr.log`);
  await using other = new LogFixture();
  expect((await other.open({ "max-size": "-1" })).monitorLimit).toBe(-1);
});

test("details are the chosen labels and variables, sorted and escaped", async () => {
  await using fixture = new LogFixture();
  const log = await fixture.open({ labels: "tier,none", env: "MODE", "env-regex": "^NOTHING" });
  expect(log.details).toBe("MODE=a+b,tier=front");
});
