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
  "Volumes Labels ExposedPorts Ports PortBindings DriverOpts Options Networks Tmpfs Sysctls Annotations StorageOpt AuxAddress",
);
/** Fields whose null is a nil pointer. */
const pointers = words(
  "Health Healthcheck Init PidsLimit MemorySwappiness OomKillDisable IPAMConfig StopTimeout GraphDriver UsageData ClusterVolume Descriptor Data",
);

/** Parses a daemon's JSON for templates: a null is what Go's types make of it, mostly an empty slice. */
export function parseGoJson(text: string): unknown {
  return JSON.parse(text, (key, value: unknown) => {
    if (value !== null || key === "") return value;
    if (pointers.has(key)) return null;
    return maps.has(key) ? nilMap() : new NilSlice();
  });
}
