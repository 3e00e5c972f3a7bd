import type { ContainerLog, LogDriver } from "../logging.ts";
import { checkDelivery, checkOptionNames, deliveryOptions, unreadable } from "../options.ts";

/** `none`: output reaches those who are attached and nobody else. */
export class NoneLogDriver implements LogDriver {
  readonly name = "none";

  validate(options: Readonly<Record<string, string>>): void {
    checkOptionNames(this.name, options, deliveryOptions);
    checkDelivery(options);
  }

  async open(): Promise<ContainerLog> {
    return {
      path: "",
      monitorTarget: "none",
      monitorLimit: -1,
      details: "",
      read: refuse,
      readEncoded: refuse,
      stopped: async () => undefined,
      remove: async () => undefined,
    };
  }
}

function refuse(): never {
  throw unreadable();
}
