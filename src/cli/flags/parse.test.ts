import { describe, expect, test } from "bun:test";
import { bool, integer, list, map, parseCsv, parseInteger, strings, text } from "./flag.ts";
import { parseFlags } from "./parse.ts";

const flags = {
  detach: bool("d", ""),
  interactive: bool("i", ""),
  tty: bool("t", ""),
  env: list("e", ""),
  name: text("", ""),
  shares: integer("c", ""),
  alias: strings("", ""),
  opt: map("o", ""),
  timeout: integer("", "", { aliases: ["time"], deprecated: { time: "use --timeout instead" } }),
  proxy: bool("", "", { initial: true }),
};
const parse = (...argv: string[]) => parseFlags(flags, argv, false);
const complaint = (...argv: string[]) => {
  try {
    parse(...argv);
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
  return "none";
};

describe("flags are taken as pflag takes them", () => {
  test("switches cluster, and a value may follow its letter in every way", () => {
    const { values, args } = parse(
      "-itd",
      "-e",
      "A=1",
      "-eB=2",
      "-e=C=3",
      "--env=D",
      "--env",
      "E",
      "image",
      "-x",
    );
    expect(values).toMatchObject({ interactive: true, tty: true, detach: true });
    expect(values.env).toEqual(["A=1", "B=2", "C=3", "D", "E"]);
    expect(args).toEqual(["image", "-x"]);
  });

  test("a cluster may end in a flag with a value", () => {
    expect(parse("-itc5", "x").values.shares).toBe(5);
    expect(parse("-itc", "5", "x").values.shares).toBe(5);
  });

  test("switches take a value only with an equals sign", () => {
    expect(parse("--proxy=false", "x").values.proxy).toBe(false);
    expect(parse("-d=0", "x").values.detach).toBe(false);
    expect(parse("--detach", "false").args).toEqual(["false"]);
  });

  test("operands end the flags unless they may be interspersed", () => {
    expect(parse("image", "--name", "x").args).toEqual(["image", "--name", "x"]);
    const mixed = parseFlags(flags, ["a", "--name", "x", "b", "--", "--c"], true);
    expect(mixed.args).toEqual(["a", "b", "--c"]);
    expect(mixed.values.name).toBe("x");
  });

  test("a lone dash is an operand", () => {
    expect(parseFlags(flags, ["-", "-d"], true)).toMatchObject({ args: ["-"], values: { detach: true } });
  });

  test("repeated lists gather, comma-separated ones split like CSV, maps keep the last of a key", () => {
    const { values } = parse("--alias", 'a,"b,c"', "--alias", "d", "-o", "k=1", "-o", "k=2", "-o", "l=x=y");
    expect(values.alias).toEqual(["a", "b,c", "d"]);
    expect(values.opt).toEqual({ k: "2", l: "x=y" });
  });

  test("an old name still works and says so", () => {
    const { values, notices } = parse("--time", "5");
    expect(values.timeout).toBe(5);
    expect(notices).toEqual(["Flag --time has been deprecated, use --timeout instead"]);
  });

  test("what was given can be told from a default", () => {
    expect([...parse("--name", "").changed]).toEqual(["name"]);
  });

  test("help is found in both forms, and -h only where no flag has it", () => {
    expect(parse("--help").help).toBe(true);
    expect(parse("-h").help).toBe(true);
    expect(parse("--help=false").help).toBe(false);
    const own = { ...flags, help: bool("", ""), hostname: text("h", "") };
    expect(parseFlags(own, ["-h", "web", "--help", "x"], false).help).toBe(true);
  });
});

describe("mistakes are told in pflag's words", () => {
  test.each([
    [["--foo"], "unknown flag: --foo"],
    [["--foo=x"], "unknown flag: --foo"],
    [["-z"], "unknown shorthand flag: 'z' in -z"],
    [["-dzi"], "unknown shorthand flag: 'z' in -zi"],
    [["--name"], "flag needs an argument: --name"],
    [["-e"], "flag needs an argument: 'e' in -e"],
    [["-de"], "flag needs an argument: 'e' in -e"],
    [["--=x"], "bad flag syntax: --=x"],
    [["---x"], "bad flag syntax: ---x"],
    [
      ["--detach=x"],
      'invalid argument "x" for "-d, --detach" flag: strconv.ParseBool: parsing "x": invalid syntax',
    ],
    [
      ["--timeout", "x"],
      'invalid argument "x" for "--timeout" flag: strconv.ParseInt: parsing "x": invalid syntax',
    ],
    [
      ["-c", "99999999999999999999"],
      'invalid argument "99999999999999999999" for "-c, --shares" flag: strconv.ParseInt: parsing "99999999999999999999": value out of range',
    ],
  ])("%p", (argv, message) => {
    expect(complaint(...argv)).toBe(message);
  });
});

test("integers are read with Go's prefixes", () => {
  expect([parseInteger("0x10"), parseInteger("010"), parseInteger("0b11"), parseInteger("-5")]).toEqual([
    16, 8, 3, -5,
  ]);
  expect(() => parseInteger("-1", "ParseUint", 16)).toThrow("invalid syntax");
  expect(() => parseInteger("65536", "ParseUint", 16)).toThrow("value out of range");
});

test("CSV fields may be quoted", () => {
  expect(parseCsv('a,"b,""c""",d')).toEqual(["a", 'b,"c"', "d"]);
  expect(parseCsv("")).toEqual([]);
  expect(parseCsv("a,")).toEqual(["a", ""]);
  expect(() => parseCsv('a,"b')).toThrow("quoted-field");
  expect(() => parseCsv('a"b')).toThrow("bare");
});
