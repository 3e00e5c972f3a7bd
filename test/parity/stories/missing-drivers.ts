import type { Story } from "../story.ts";

/** dockerd looks for a plugin of the name for 15 seconds before it says that there is none. */
export const missingDrivers: Story = {
  name: "drivers that do not exist",
  aside: true,
  steps: [
    ["run", "--name", "pp", "--log-driver", "nosuch", "busybox"],
    ["volume", "create", "-d", "nosuch", "x"],
    ["network", "create", "-d", "nosuch", "nn"],
    ["run", "--rm", "--pull", "never", "--volume-driver", "nosuch", "-v", "vol:/v", "busybox", "true"],
  ],
};
