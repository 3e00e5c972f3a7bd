import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import { messageOf } from "../../../../base/lib/errors.ts";
import { hostProgram, hostProgramSync } from "../../../../base/sys/process/host-program.ts";
import { type PoolStatus, parsePool } from "./pool.ts";

const sector = 512;
const mapper = (name: string) => `/dev/mapper/${name}`;

/** A thin device: its name while it is active, its id in the pool and its size. */
export interface ThinDevice {
  readonly name: string;
  readonly id: number;
  readonly bytes: number;
}

/** As it lies in `<directory>/device`. */
interface DeviceRecord {
  readonly name: string;
  readonly id: number;
  readonly sectors: number;
}

/**
 * Thin devices of one pool, one for each snapshot's directory: `<directory>/device` says which it is, and after a boot it is activated
 * when it is needed (Documentation/admin-guide/device-mapper/thin-provisioning.rst).
 */
export class ThinDevices {
  /** The pool's name below /dev/mapper. */
  readonly #pool: string;

  constructor(pool: string) {
    this.#pool = pool;
  }

  /** Undefined when the device is no thin pool (any more). */
  status(): PoolStatus | undefined {
    const [table, status] = ["table", "status"].map((verb) => hostProgramSync(["dmsetup", verb, this.#pool]));
    return parsePool(table ?? "", status ?? "");
  }

  has(directory: string): boolean {
    return existsSync(join(directory, "device"));
  }

  /** The directory's device. */
  of(directory: string): ThinDevice {
    const { name, id, sectors } = this.#record(directory);
    return { name, id, bytes: sectors * sector };
  }

  /**
   * Makes and records the device of a directory: an empty one of `baseSize`, or a snapshot of the device of the directory `parent`; of
   * `size` bytes where that is more, which is when it has `grown`.
   */
  async make(
    directory: string,
    wanted: { readonly parent: string | undefined; readonly baseSize: number; readonly size: number },
  ): Promise<{ readonly grown: boolean }> {
    const begun =
      wanted.parent === undefined
        ? { id: await this.#create(undefined), sectors: Math.ceil(wanted.baseSize / sector) }
        : await this.#snapshotOf(wanted.parent);
    const sectors = Math.max(begun.sectors, Math.ceil(wanted.size / sector));
    const record: DeviceRecord = { ...begun, name: `tug-${basename(directory)}`, sectors };
    writeFileSync(join(directory, "device"), JSON.stringify(record), { flush: true });
    return { grown: sectors > begun.sectors };
  }

  /** The path of the block device. */
  activate(directory: string): string {
    const { name, id, sectors } = this.#record(directory);
    if (!existsSync(mapper(name))) {
      const table = `0 ${sectors} thin ${mapper(this.#pool)} ${id}`;
      hostProgramSync(["dmsetup", "create", name, "--table", table]);
    }
    return mapper(name);
  }

  /** It goes as soon as nobody has it open. */
  deactivate(directory: string): void {
    const { name } = this.#record(directory);
    if (existsSync(mapper(name))) hostProgramSync(["dmsetup", "remove", "--deferred", name]);
  }

  async delete(directory: string): Promise<void> {
    const { name, id } = this.#record(directory);
    try {
      if (existsSync(mapper(name))) await hostProgram(["dmsetup", "remove", "--retry", name]);
      await this.#message(`delete ${id}`);
    } catch (error) {
      // Another removal was faster.
      if (!/No such device|No data available/.test(messageOf(error))) throw error;
    }
  }

  #record(directory: string): DeviceRecord {
    return JSON.parse(readFileSync(join(directory, "device"), "utf8")) as DeviceRecord;
  }

  #message(text: string): Promise<string> {
    return hostProgram(["dmsetup", "message", this.#pool, "0", text]);
  }

  /** Ids are the pool's, which others may use as well: any that is free. */
  async #create(origin: number | undefined): Promise<number> {
    for (let tries = 0; ; tries++) {
      const id = crypto.getRandomValues(new Uint32Array(1)).map((value) => value >>> 8)[0] ?? 0;
      try {
        await this.#message(origin === undefined ? `create_thin ${id}` : `create_snap ${id} ${origin}`);
        return id;
      } catch (error) {
        if (tries > 8 || !messageOf(error).includes("File exists")) throw error;
      }
    }
  }

  /** The origin stands still meanwhile, where it is mounted (thin-provisioning.rst, "create_snap"). */
  async #snapshotOf(parent: string): Promise<Omit<DeviceRecord, "name">> {
    const { name, id, sectors } = this.#record(parent);
    const active = existsSync(mapper(name));
    if (active) await hostProgram(["dmsetup", "suspend", name]);
    try {
      return { id: await this.#create(id), sectors };
    } finally {
      if (active) await hostProgram(["dmsetup", "resume", name]);
    }
  }
}
