import { expect, test } from "bun:test";
import { join } from "node:path";

const here = import.meta.dir;

/** Runs a program of two lines against these modules, with this standard input. */
async function answers(program: string, input: string): Promise<string> {
  const source = `
    import { StandardInput } from ${JSON.stringify(join(here, "input.ts"))};
    import { confirm, readLine } from ${JSON.stringify(join(here, "confirm.ts"))};
    import { readSecret } from ${JSON.stringify(join(here, "secret.ts"))};
    const out = { write: async (text) => process.stdout.write(text), flush: async () => {}, isTerminal: false, size: () => ({ width: 0, height: 0 }) };
    const context = { in: new StandardInput(), out };
    ${program}
    process.exit(0);`;
  const child = Bun.spawn([process.execPath, "-e", source], { stdin: Buffer.from(input), stderr: "inherit" });
  const text = await new Response(child.stdout).text();
  expect(await child.exited).toBe(0);
  return text;
}

test("a question after a question finds its own line, also when both were typed ahead", async () => {
  expect(
    await answers(
      `console.log(JSON.stringify([await readLine(context), await readLine(context), await readLine(context)]));`,
      "alice\r\nbob\nrest",
    ),
  ).toBe('["alice","bob","rest"]\n');
});

test("the end of input is no line", async () => {
  expect(await answers(`console.log(String(await readLine(context)));`, "")).toBe("undefined\n");
});

test("a secret ends at its line and takes backspaces", async () => {
  expect(
    await answers(
      `const name = await readLine(context); const secret = await readSecret(context, "Password: "); console.log(name, secret, await readLine(context));`,
      "alice\ns3cretX\x7f\nnext\n",
    ),
  ).toBe("Password: \nalice s3cret next\n");
});

test("only a y means yes", async () => {
  for (const [input, yes] of [
    ["y\n", true],
    ["Y\n", true],
    ["yes\n", false],
    ["n\n", false],
    ["\n", false],
    ["", false],
  ] as const) {
    expect(await answers(`console.log(String(await confirm(context, "WARNING!")));`, input)).toBe(
      `WARNING!\nAre you sure you want to continue? [y/N] ${yes}\n`,
    );
  }
});
