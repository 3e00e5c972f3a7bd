import type { SearchResult } from "../../client/images/search.ts";
import { searchImages } from "../../client/images/search.ts";
import { defineCommand, exactly } from "../command.ts";
import { registryAuth } from "../config/credentials.ts";
import { filter } from "../flags/filter.ts";
import { bool, integer, text } from "../flags/flag.ts";
import { type ListSpec, renderList } from "../format/list.ts";
import { ellipsis } from "../format/text.ts";

export const command = defineCommand({
  usage: "[OPTIONS] TERM",
  args: exactly(1),
  flags: {
    filter: filter("f", "Show only what matches a condition"),
    format: text("", "How to print: a Go template"),
    limit: integer("", "Largest number of results"),
    "no-trunc": bool("", "Do not shorten columns"),
  },
  async run(context, { values, args: [term = ""] }) {
    const client = await context.client();
    const auth = await registryAuth(context, searchedRegistry(term));
    const results = await searchImages(client, { term, limit: values.limit, filters: values.filter, auth });
    results.sort((a, b) => b.star_count - a.star_count);
    await context.out.write(
      await renderList(searchSpec(values["no-trunc"]), results, { format: values.format }),
    );
    return 0;
  },
});

/** Whose credentials a term asks for: of the registry that it begins with, or Docker Hub's. */
function searchedRegistry(term: string): string {
  const first = term.includes("/") ? term.slice(0, term.indexOf("/")) : "";
  return /[.:]/.test(first) || first === "localhost" ? first : "docker.io";
}

function searchSpec(whole: boolean): ListSpec<SearchResult> {
  const one = (text: string) => text.replaceAll("\n", " ").replaceAll("\r", "");
  return {
    typeName: "*registry.searchContext",
    quiet: "Name",
    columns: ["Name", "Description", "StarCount", "IsOfficial"],
    fields: {
      Name: { header: "NAME", value: (result) => result.name },
      Description: {
        header: "DESCRIPTION",
        value: (result) => (whole ? one(result.description) : ellipsis(one(result.description), 45)),
      },
      StarCount: { header: "STARS", value: (result) => String(result.star_count) },
      IsOfficial: { header: "OFFICIAL", value: (result) => (result.is_official ? "[OK]" : "") },
      IsAutomated: { header: "AUTOMATED", value: (result) => (result.is_automated ? "[OK]" : "") },
    },
  };
}
