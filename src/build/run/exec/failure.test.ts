import { expect, test } from "bun:test";
import { foreignHint, stepFailure } from "./failure.ts";

const args = ["/bin/sh", "-c", "make"];
const end = { exitCode: 1, complaint: undefined, firstWords: "make: not found\n", oomKilled: false };
const refused = { ...end, complaint: "executable file `/bin/sh`: Exec format error" };

test("a program that the kernel refuses is told with the platform and the way out, where an emulator is missing", () => {
  const foreign = "its programs are linux/arm64, and so on";
  const failed = 'process "/bin/sh -c make" did not complete successfully: exit code: 1';
  expect(stepFailure(args, refused, foreign)?.message).toBe(`${failed}: ${foreign}`);
  expect(foreignHint(refused, foreign)).toBeUndefined();
  const byRunc = { ...end, exitCode: 255, firstWords: "exec /bin/sh: exec format error\n" };
  expect(stepFailure(args, byRunc, foreign)?.message).toEndWith(`exit code: 255: ${foreign}`);
  // The shell ran: what it called may be what could not.
  expect(stepFailure(args, end, foreign)?.message).toBe(failed);
  expect(foreignHint(end, foreign)).toContain(foreign);
  expect(stepFailure(args, refused)?.message).toBe(failed);
  expect(foreignHint(end, undefined)).toBeUndefined();
});

test("a step that lacked memory says so in BuildKit's words", () => {
  const killed = { ...end, exitCode: 137, oomKilled: true };
  expect(stepFailure(args, killed)?.message).toEndWith(
    "did not complete successfully: cannot allocate memory",
  );
  expect(stepFailure(args, { ...killed, exitCode: 0 })).toBeUndefined();
});
