/**
 * Go prints a struct as `{a b}` and a map as `map[k:v]`. JSON does not tell them apart, but the fields do: these are the
 * structs people print from `inspect`, with their fields in Go's order.
 */
const structs: readonly (readonly string[])[] = [
  [
    "Status",
    "Running",
    "Paused",
    "Restarting",
    "OOMKilled",
    "Dead",
    "Pid",
    "ExitCode",
    "Error",
    "StartedAt",
    "FinishedAt",
    "Health",
  ],
  ["HostIp", "HostPort"],
  ["Name", "MaximumRetryCount"],
  ["Type", "Name", "Source", "Destination", "Driver", "Mode", "RW", "Propagation"],
  ["Type", "Config"],
  ["Subnet", "IPRange", "Gateway", "AuxiliaryAddresses"],
  ["Driver", "Options", "Config"],
  ["Name", "EndpointID", "MacAddress", "IPv4Address", "IPv6Address"],
  ["PathOnHost", "PathInContainer", "CgroupPermissions"],
  ["Name", "Hard", "Soft"],
  ["Start", "End", "ExitCode", "Output"],
  ["Status", "FailingStreak", "Log"],
  ["Type", "Layers"],
  ["Network"],
];

/** The struct's fields an object stands for, or undefined for a map. */
export function shapeOf(value: object): readonly string[] | undefined {
  const keys = Object.keys(value);
  if (keys.length === 0) return undefined;
  return structs.find(
    (fields) =>
      keys.every((key) => fields.includes(key)) && fields.includes(keys[0] ?? "") && covers(fields, keys),
  );
}

/** Most of a struct's fields are there; those that are empty may be left out of the JSON. */
function covers(fields: readonly string[], keys: readonly string[]): boolean {
  return keys.length >= Math.min(2, fields.length) && keys.length * 2 >= fields.length;
}

/** How Go prints a field that the JSON left out. */
export const zeros: Readonly<Record<string, string>> = {
  Health: "<nil>",
  AuxiliaryAddresses: "map[]",
  Options: "map[]",
  Log: "[]",
};
