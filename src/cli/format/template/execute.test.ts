import { describe, expect, test } from "bun:test";
import { compileTemplate } from "./execute.ts";

const data = {
  Name: "/web",
  Id: "0123456789abcdef",
  Args: ["a", "b", "c"],
  Labels: { b: "2", a: "1" },
  State: { Running: true, Pid: 42, Error: "" },
  Ports: { "80/tcp": [{ HostIp: "0.0.0.0", HostPort: "8080" }], "53/udp": null },
  Count: 3,
  Ratio: 1.5,
  Label: (key: unknown) => (key === "a" ? "1" : ""),
};
const run = (source: string) => compileTemplate(source)(data);

describe("values print as Go prints them", () => {
  test.each([
    ["{{.Name}} {{.Count}} {{.Ratio}} {{.State.Running}}", "/web 3 1.5 true"],
    ["{{.Args}} {{.Labels}}", "[a b c] map[a:1 b:2]"],
    ["{{.Nope}} {{.Nope.Deeper}}", "<no value> <no value>"],
    ["{{.Ports}}", "map[53/udp:<nil> 80/tcp:[map[HostIp:0.0.0.0 HostPort:8080]]]"],
    ["{{json .Labels}} {{json .Args}} {{json .Nope}}", '{"b":"2","a":"1"} ["a","b","c"] null'],
  ])("%s", (source, text) => {
    expect(run(source)).toBe(text);
  });
});

describe("control structures", () => {
  test.each([
    ["{{if .State.Error}}bad{{else if .State.Running}}up{{else}}down{{end}}", "up"],
    ["{{range .Args}}{{.}};{{end}}", "a;b;c;"],
    ["{{range $i, $v := .Args}}{{$i}}={{$v}} {{end}}", "0=a 1=b 2=c "],
    ["{{range $k, $v := .Labels}}{{$k}}{{$v}}{{end}}", "a1b2"],
    ["{{range .Nope}}x{{else}}none{{end}}", "none"],
    ['{{range .Args}}{{if eq . "b"}}{{continue}}{{end}}{{if eq . "c"}}{{break}}{{end}}{{.}}{{end}}', "a"],
    ["{{with .State}}{{.Pid}} {{$.Name}}{{end}}{{with .Nope}}x{{else}}y{{end}}", "42 /weby"],
    ["{{$x := 1}}{{if true}}{{$x = 2}}{{end}}{{$x}}", "2"],
    [
      '{{define "t"}}[{{.}}]{{end}}{{template "t" .Name}}{{block "u" .Id}}({{.}}){{end}}',
      "[/web](0123456789abcdef)",
    ],
    ["a {{- 1 -}} b{{/* gone */}} {{- /* gone too */ -}} c", "a1bc"],
  ])("%s", (source, text) => {
    expect(run(source)).toBe(text);
  });
});

describe("functions and pipelines", () => {
  test.each([
    ['{{.Name | upper | printf "%-6s|"}}', "/WEB  |"],
    [
      '{{printf "%5d|%05.1f|%q|%v|%t|%x" .Count .Ratio .Name .Args true 255}}',
      '    3|001.5|"/web"|[a b c]|true|ff',
    ],
    ['{{join .Args ","}} {{split "a.b" "."}} {{lower "ABC"}} {{title "a b"}}', "a,b,c [a b] abc A B"],
    ['{{pad "x" 1 2}}| {{truncate .Id 5}} {{len .Args}} {{len .Name}}', " x  | 01234 3 4"],
    ['{{index .Args 1}} {{index .Labels "a"}} {{(index (index .Ports "80/tcp") 0).HostPort}}', "b 1 8080"],
    [
      '{{eq .Count 3}} {{ne .Name "x"}} {{lt 1 2}} {{ge 2 2}} {{eq .Name "x" "/web"}}',
      "true true true true true",
    ],
    ['{{and .Name .State.Error}}|{{or .State.Error "d"}}|{{not .Nope}}', "|d|true"],
    ['{{.Label "a"}}{{.Label "b"}}', "1"],
    ['{{println "a" 1}}{{print 1 2 "x" 3}}', "a 1\n1 2x3"],
    ["{{`raw \\n`}} {{'a'}} {{0x10}}", "raw \\n 97 16"],
    ['{{html "<a>"}} {{urlquery "a b"}} {{slice "abcdef" 1 3}}', "&lt;a&gt; a%20b bc"],
  ])("%s", (source, text) => {
    expect(run(source)).toBe(text);
  });
});

describe("mistakes read as Go's", () => {
  test.each([
    ["{{.ID", "template: :1: unclosed action"],
    ["{{end}}", "template: :1: unexpected {{end}}"],
    ["{{if .A}}x", "template: :1: unexpected EOF"],
    ["{{foo}}", 'template: :1: function "foo" not defined'],
    ["{{$x}}", 'template: :1: undefined variable "$x"'],
    ["{{}}", "template: :1: missing value for command"],
    ["{{if}}x{{end}}", "template: :1: missing value for if"],
    ["{{range}}x{{end}}", "template: :1: missing value for range"],
    ['{{"a}}', "template: :1: unterminated quoted string"],
    ["{{break}}", "template: :1: {{break}} outside {{range}}"],
    ["{{(.A}}", "template: :1: unclosed left paren"],
  ])("%s", (source, message) => {
    expect(() => compileTemplate(source)).toThrow(message);
  });

  test("a missing field of a struct names field, place and type", () => {
    const strict = compileTemplate("{{.Foo}}", {
      missing: "struct",
      typeName: "*formatter.ContainerContext",
    });
    expect(() => strict(data)).toThrow(
      `template: :1:2: executing "" at <.Foo>: can't evaluate field Foo in type *formatter.ContainerContext`,
    );
  });

  test("a missing key of a map names key and place, also inside a chain", () => {
    const strict = compileTemplate("{{.State.Foo.Bar}}", { missing: "map-error" });
    expect(() => strict(data)).toThrow(
      'template: :1:8: executing "" at <.State.Foo.Bar>: map has no entry for key "Foo"',
    );
  });

  test("a failing function shows the call", () => {
    expect(() => run("{{index .Args 9}}")).toThrow(
      'template: :1:2: executing "" at <index .Args 9>: error calling index: index out of range: 9',
    );
  });

  test("endless recursion ends", () => {
    expect(() => run('{{define "r"}}{{template "r"}}{{end}}{{template "r"}}')).toThrow(
      "exceeded maximum template depth",
    );
  });
});
