// biome-ignore-all lint/suspicious/noTemplateCurlyInString: they are what is tested
import { describe, expect, test } from "bun:test";
import { expand } from "./words.ts";

const variables = new Map([
  ["A", "one"],
  ["EMPTY", ""],
  ["FILE", "dir/sub/name.tar.gz"],
  ["SPACED", "  a  b "],
  ["STARS", "a***yy*"],
  ["_x1", "under"],
  ["größe", "groß"],
]);

const cases: readonly (readonly [source: string, result: string])[] = [
  ["plain", "plain"],
  ["$A", "one"],
  ["${A}s", "ones"],
  ["$As", ""],
  ["$A.b$_x1", "one.bunder"],
  ["${größe}", "groß"],
  ["$größe-", "groß-"],
  ["$", "$"],
  ["$.", "$."],
  ["$1x", "x"],
  ["$12", ""],
  ["$@$*$#$?$-$$$!$0", ""],
  ["\\$A", "$A"],
  ["\\\\$A", "\\one"],
  ["a\\b", "ab"],
  ["end\\", "end"],
  ["'$A \\n'", "$A \\n"],
  ['"$A \\n \\" \\$ \\\\"', 'one \\n " $ \\'],
  ['"it\'s"', "it's"],
  ["'a'\"b\"c", "abc"],
  ["${A:-x}${NO:-x}${EMPTY:-x}", "onexx"],
  ["${A-x}${NO-x}${EMPTY-x}", "onex"],
  ["${A:+x}${NO:+x}${EMPTY:+x}", "x"],
  ["${A+x}${NO+x}${EMPTY+x}", "xx"],
  ["${A:?x}${A?x}${EMPTY?x}", "oneone"],
  ["${NO:-${NO2:-$A}}", "one"],
  ["${NO:-'a}b'}", "a}b"],
  ["${NO:-\\}}", "}"],
  ["${FILE#*/}", "sub/name.tar.gz"],
  ["${FILE##*/}", "name.tar.gz"],
  ["${FILE%.*}", "dir/sub/name.tar"],
  ["${FILE%%.*}", "dir/sub/name"],
  ["${FILE#nomatch}", "dir/sub/name.tar.gz"],
  ["${FILE%.t?r*}", "dir/sub/name"],
  ["${STARS%%\\**}", "a"],
  ["${STARS%%\\**\\*}", "a"],
  ["${STARS#*}", "a***yy*"],
  ["${STARS##*}", ""],
  ["${FILE/sub/x}", "dir/x/name.tar.gz"],
  ["${FILE//r/R}", "diR/sub/name.taR.gz"],
  ["${FILE//\\//-}", "dir-sub-name.tar.gz"],
  ["${FILE/\\/*\\//+}", "dir+name.tar.gz"],
  ["${FILE//?a?/}", "dir/sub/e..gz"],
  ["${A//*/x}", "x"],
  ["${A//o*/x}", "x"],
  ["${A/$EMPTY/x}", "xone"],
  ["${NO/a/b}", ""],
  ["<<EOF", "<<EOF"],
  ["a<b", "a<b"],
];

describe("Words", () => {
  for (const [source, result] of cases)
    test(`${source} is ${result}`, () => expect(expand(source, variables).text).toBe(result));

  test("are cut at blanks that are not quoted", () => {
    const words = (text: string) => expand(text, variables).words;
    expect(words("a b\t c")).toEqual(["a", "b", "c"]);
    expect(words("a\\ b 'c d' \"e f\"")).toEqual(["a b", "c d", "e f"]);
    expect(words("x${SPACED}y")).toEqual(["x", "a", "b", "y"]);
    expect(words('x"${SPACED}"y')).toEqual(["x  a  b y"]);
    expect(words("pre${NO:-mid}post end")).toEqual(["premidpost", "end"]);
    expect(words("cat <<  EOF x")).toEqual(["cat", "<<  EOF", "x"]);
  });

  test("tell which variables they used and which there are not", () => {
    const { matched, unmatched } = expand("$A ${NO:-$EMPTY} '$B' \\$C", variables);
    expect([[...matched], [...unmatched]]).toEqual([["A", "EMPTY"], ["NO"]]);
  });

  test("keep what they are told to keep", () => {
    const kept = expand('$NO ${NO} ${NO:-x} ${NO/a/b} "$A"', variables, { keepUnset: true });
    expect(kept.text).toBe("$NO ${NO} ${NO:-x} ${NO/a/b} one");
    expect(expand("'$A' \"$A\"", variables, { rawQuotes: true }).text).toBe("'$A' \"one\"");
    expect(expand("a\\ b", variables, { rawEscapes: true }).text).toBe("a\\ b");
    expect(expand('it\'s "$A"', variables, { plainQuotes: true }).text).toBe('it\'s "one"');
    expect(expand("a`$A b\\c", variables, { escape: "`" }).text).toBe("a$A b\\c");
  });

  for (const [source, message] of [
    ["'a", "unexpected end of statement while looking for matching single-quote"],
    ['"a', "unexpected end of statement while looking for matching double-quote"],
    ["${A", "syntax error: missing '}'"],
    ["${", "syntax error: missing '}'"],
    ["${}", "syntax error: bad substitution"],
    ["${:-x}", "syntax error: bad substitution"],
    ["${{A}", "syntax error: bad substitution"],
    ["${A=x}", "unsupported modifier (=) in substitution"],
    ["${A:=x}", "unsupported modifier (:=) in substitution"],
    ["${A:#x}", "unsupported modifier (:#) in substitution"],
    ["${.}", "unsupported modifier (.) in substitution"],
    ["${A//x}", "syntax error: missing '/' in $" + "{}"],
    ["${A/x/y", "syntax error: missing '}'"],
    ["${NO:?tell me}", "NO: tell me"],
    ["${NO?}", "NO: is not allowed to be unset"],
    ["${EMPTY:?}", "EMPTY: is not allowed to be empty"],
    ["${A#\\x}", "invalid pattern (\\x) in substitution: invalid escape '\\x'"],
  ] as const)
    test(`that are wrong say so: ${source}`, () =>
      expect(() => expand(source, variables)).toThrow(
        `failed to process ${JSON.stringify(source)}: ${message}`,
      ));
});

test("What would grow without end, or nest without end, is refused", () => {
  const big = new Map([["B", "x".repeat(1000)]]);
  expect(() => expand("$B".repeat(2000), big)).toThrow("variables expand to more than 1048576 characters");
  const deep = (levels: number) => `${"${A:-".repeat(levels)}x${"}".repeat(levels)}`;
  expect(expand(deep(150), new Map()).text).toBe("x");
  for (const levels of [250, 100_000])
    expect(() => expand(deep(levels), new Map())).toThrow("substitutions are nested deeper than 200");
}, 60_000);

test("A megabyte takes time in proportion, whatever it holds", () => {
  const began = performance.now();
  const value = new Map([["V", "a".repeat(100_000)]]);
  for (const source of [
    "a b ".repeat(250_000),
    "$A".repeat(500_000),
    '"a" '.repeat(250_000),
    "\\".repeat(1_000_000),
    "<".repeat(1_000_000),
    `\${V//${"*a".repeat(2000)}b/x}`,
    "${V%%a*a*a*a*a*b}".repeat(10),
  ])
    expand(source, value, { limit: 1 << 22 });
  expect(performance.now() - began).toBeLessThan(60_000);
}, 90_000);
