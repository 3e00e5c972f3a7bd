/**
 * What Testcontainers calls a reaper, to be run in a container that has the daemon's socket: suites stay connected and send filters, a line each, such as
 * "label=org.testcontainers.session-id=1a2b"; once the last one is gone, so is what the filters match. Protocol: github.com/testcontainers/moby-ryuk, README.
 */
const socket = "/var/run/docker.sock";
const filters = new Set<string>();
let suites = 0;

async function call(method: string, path: string): Promise<unknown> {
  const response = await fetch(`http://docker${path}`, { unix: socket, method, keepalive: false });
  const text = await response.text();
  if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${text}`);
  return text === "" ? undefined : JSON.parse(text);
}

async function reap(filter: string): Promise<void> {
  const [kind = "", ...value] = filter.split("=");
  const query = `filters=${encodeURIComponent(JSON.stringify({ [kind]: [value.join("=")] }))}`;
  const list = async (path: string) => (await call("GET", path)) as { Id: string; Labels: object | null }[];
  for (const { Id, Labels } of await list(`/containers/json?all=true&${query}`))
    if (!Object.hasOwn(Labels ?? {}, "org.testcontainers.ryuk"))
      await call("DELETE", `/containers/${Id}?force=true&v=true`);
  for (const { Id } of await list(`/networks?${query}`)) await call("DELETE", `/networks/${Id}`);
  await call("POST", `/volumes/prune?${query}`);
  for (const { Id } of await list(`/images/json?${query}`)) await call("DELETE", `/images/${Id}?force=true`);
}

Bun.listen<{ rest: string }>({
  hostname: "0.0.0.0",
  port: 8080,
  socket: {
    open(connection) {
      connection.data = { rest: "" };
      suites++;
    },
    data(connection, bytes) {
      const lines = (connection.data.rest + bytes.toString()).split("\n");
      connection.data.rest = lines.pop() ?? "";
      for (const line of lines) {
        filters.add(line.trim());
        connection.write("ACK\n");
      }
    },
    async close() {
      // A port check connects too, and has nothing to say.
      if (--suites > 0 || filters.size === 0) return;
      for (const filter of filters) await reap(filter);
      process.exit(0);
    },
  },
});
console.log("Started");
