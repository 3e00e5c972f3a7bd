import { invalid } from "../../base/lib/errors.ts";
import type { Resources } from "../../base/spec/docker/api.gen.ts";
import type { ContainerOptions } from "./flags.ts";
import { limitsOf } from "./limit-flags.ts";
import { parseDevices } from "./values/devices.ts";

/** What a container may take of the host, and which of its devices it gets. */
export function resourceLimits(values: ContainerOptions): Resources {
  const swappiness = values["memory-swappiness"];
  if (swappiness !== -1 && (swappiness < 0 || swappiness > 100)) {
    throw invalid(`invalid value: ${swappiness}. Valid memory swappiness range is 0-100`);
  }
  const devices = parseDevices(values.device);
  return {
    ...limitsOf(values),
    CgroupParent: values["cgroup-parent"],
    BlkioWeightDevice: [...values["blkio-weight-device"]],
    BlkioDeviceReadBps: [...values["device-read-bps"]],
    BlkioDeviceWriteBps: [...values["device-write-bps"]],
    BlkioDeviceReadIOps: [...values["device-read-iops"]],
    BlkioDeviceWriteIOps: [...values["device-write-iops"]],
    Devices: devices.mappings,
    ...(values["device-cgroup-rule"].length > 0
      ? { DeviceCgroupRules: [...values["device-cgroup-rule"]] }
      : {}),
    ...(swappiness === -1 ? {} : { MemorySwappiness: swappiness }),
    OomKillDisable: values["oom-kill-disable"],
    ...(values["pids-limit"] === 0 ? {} : { PidsLimit: values["pids-limit"] }),
    ...(values.ulimit.length > 0 ? { Ulimits: [...values.ulimit] } : {}),
    CpuCount: values["cpu-count"],
    CpuPercent: values["cpu-percent"],
    IOMaximumIOps: values["io-maxiops"],
    IOMaximumBandwidth: values["io-maxbandwidth"],
    ...deviceRequests(values, devices.cdi),
  };
}

function deviceRequests(values: ContainerOptions, cdi: readonly string[]): Pick<Resources, "DeviceRequests"> {
  const requests = [...values.gpus, ...(cdi.length > 0 ? [{ Driver: "cdi", DeviceIDs: [...cdi] }] : [])];
  return requests.length > 0 ? { DeviceRequests: requests } : {};
}
