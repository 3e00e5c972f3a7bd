import { TugError } from "../../../base/lib/errors.ts";
import type { ContainerLog, LogDriver } from "../logging.ts";
import { checkDelivery, checkOptionNames, deliveryOptions } from "../options.ts";

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
      read: unreadable,
      readEncoded: unreadable,
      stopped: async () => undefined,
      remove: async () => undefined,
    };
  }
}

function unreadable(): never {
  throw new TugError("not-implemented", "configured logging driver does not support reading");
}
