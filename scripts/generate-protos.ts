/**
 * Writes src/base/spec/buildkit/*.gen.ts from the .proto files beside them: `bun scripts/generate-protos.ts` after those changed.
 * Needs protoc (Debian: protobuf-compiler) on PATH; the build itself does not.
 */
import { readdir, rm } from "node:fs/promises";
import { join } from "node:path";

const root = join(import.meta.dir, "..");
const folder = join(root, "src/base/spec/buildkit");
const files = (await readdir(join(folder, "proto"))).filter((name) => name.endsWith(".proto")).sort();
const options = [
  // Sizes and times do not fit a double.
  "forceLong=bigint",
  "useDate=false",
  "enumsAsLiterals=true",
  "unrecognizedEnum=false",
  "removeEnumPrefix=true",
  "outputJsonMethods=false",
  "outputServices=none",
  "importSuffix=.ts",
  "useExactTypes=false",
  "esModuleInterop=true",
  "exportCommonSymbols=false",
];
const protoc = Bun.spawn(
  [
    "protoc",
    `-I${join(folder, "proto")}`,
    `--plugin=protoc-gen-ts_proto=${join(root, "node_modules/.bin/protoc-gen-ts_proto")}`,
    `--ts_proto_out=${folder}`,
    `--ts_proto_opt=${options.join(",")}`,
    ...files,
  ],
  { stdio: ["ignore", "inherit", "inherit"] },
);
if ((await protoc.exited) !== 0) process.exit(1);
for (const file of files) {
  const name = join(folder, file.replace(/\.proto$/, ""));
  const text = await Bun.file(`${name}.ts`).text();
  await Bun.write(`${name}.gen.ts`, text.replace(/from "\.\/(\w+)\.ts"/g, 'from "./$1.gen.ts"'));
  await rm(`${name}.ts`);
}
console.log(`wrote ${files.length} files`);
