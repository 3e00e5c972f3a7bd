/** A nil slice of Go: empty in every way, and null in JSON. */
class NilSlice extends Array<never> {
  toJSON(): null {
    return null;
  }
}

const nilMap = () => Object.defineProperty({}, "toJSON", { value: () => null, enumerable: false });

const words = (text: string) => new Set(text.split(" "));
/** Fields whose null is a nil map. */
const maps = words(
  "Volumes Labels ExposedPorts Ports PortBindings DriverOpts Options Networks Tmpfs Sysctls Annotations StorageOpt AuxiliaryAddresses",
);
/** Fields whose null is a nil pointer. */
const pointers = words(
  "Health Healthcheck Init PidsLimit MemorySwappiness OomKillDisable IPAMConfig StopTimeout GraphDriver UsageData ClusterVolume Descriptor Data",
);

/** Gives a field a second name that JSON does not show: Go calls the wire's `Id` ID. */
export function alias(target: object, name: string, value: unknown): void {
  if (!(name in target)) Object.defineProperty(target, name, { value, enumerable: false });
}

/** Parses a daemon's JSON for templates: a null is what Go's types make of it, mostly an empty slice. */
export function parseGoJson(text: string): unknown {
  const parsed: unknown = JSON.parse(text, (key, value: unknown) => {
    if (value !== null || key === "") return value;
    if (pointers.has(key)) return null;
    return maps.has(key) ? nilMap() : new NilSlice();
  });
  if (typeof parsed === "object" && parsed !== null && "Id" in parsed) alias(parsed, "ID", parsed.Id);
  return parsed;
}
