/** A suite that uses Testcontainers and ends without removing anything: when its standard input ends, or when it is killed. */
import { GenericContainer, Network, PullPolicy, Wait } from "testcontainers";

const [context = "", pulled = ""] = process.argv.slice(2);
const network = await new Network().start();
const image = await GenericContainer.fromDockerfile(context).build();
const container = await image
  .withNetwork(network)
  .withNetworkAliases("built")
  .withWaitStrategy(Wait.forLogMessage("made"))
  .start();
const other = await new GenericContainer(pulled)
  .withPullPolicy(PullPolicy.alwaysPull())
  .withCommand(["sleep", "1000"])
  .withNetwork(network)
  .start();
console.log([container.getId(), other.getId()].join(" "));
await Bun.stdin.text();
process.exit(0);
