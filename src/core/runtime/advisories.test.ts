import { expect, test } from "bun:test";
import { missingFixes } from "./advisories.ts";

test("versions before the fixes of their own line, or of all lines, are told of", () => {
  for (const version of ["1.8.1", "1.14.4"])
    expect(missingFixes("crun", version)).toContain(`crun ${version}`);
  expect(missingFixes("runc", "1.1.5+ds1")).toContain("older than 1.4.0");
  expect(missingFixes("runc", "1.2.7")).toContain("older than 1.2.8");
  expect(missingFixes("runc", "1.3.2")).toContain("older than 1.3.3");
});

test("versions with the fixes, and programs that nothing is known of, are not", () => {
  for (const version of ["1.15", "1.15.1", "1.25", "2.0"])
    expect(missingFixes("crun", version)).toBeUndefined();
  for (const version of ["1.2.8", "1.2.9", "1.3.3", "1.4.0", "1.4.0-rc.3", "1.5.0"])
    expect(missingFixes("runc", version)).toBeUndefined();
  expect(missingFixes("youki", "0.1.0")).toBeUndefined();
  expect(missingFixes("crun", "unknown")).toBeUndefined();
});
