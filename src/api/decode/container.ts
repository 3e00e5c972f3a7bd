import type {
  ContainerConfig,
  DeviceMapping,
  DeviceRequest,
  NetworkingConfig,
  PortBinding,
  Resources,
  RestartPolicy,
  ThrottleDevice,
} from "../../base/spec/docker/api.gen.ts";
import type {
  Dependency,
  SecretReference,
  TugHealthConfig,
  TugHostConfig,
} from "../../base/spec/docker/extensions.ts";
import type { ExecCreateRequest } from "../../base/spec/docker/requests.ts";
import { mountShape } from "./mount.ts";
import { endpointShape } from "./network.ts";
import {
  bool,
  emptyObject,
  int,
  list,
  map,
  nullableMap,
  object,
  oneOf,
  type Shape,
  string,
  strings,
  uint,
  uint16,
  words,
} from "./shape.ts";

const healthShape: Shape<TugHealthConfig> = object<TugHealthConfig>({
  OnFailure: oneOf("none", "kill", "restart", "stop"),
  Test: strings,
  Interval: int,
  Timeout: int,
  Retries: int,
  StartPeriod: int,
  StartInterval: int,
});

const configFields = {
  Hostname: string,
  Domainname: string,
  User: string,
  AttachStdin: bool,
  AttachStdout: bool,
  AttachStderr: bool,
  ExposedPorts: map(emptyObject),
  Tty: bool,
  OpenStdin: bool,
  StdinOnce: bool,
  Env: strings,
  Cmd: words,
  Healthcheck: healthShape,
  ArgsEscaped: bool,
  Image: string,
  Volumes: map(emptyObject),
  WorkingDir: string,
  Entrypoint: words,
  NetworkDisabled: bool,
  OnBuild: strings,
  Labels: map(string),
  StopSignal: string,
  StopTimeout: int,
  Shell: words,
};

/** The body of POST /commit. */
export const containerConfigShape: Shape<ContainerConfig> = object<ContainerConfig>(configFields);

const throttles = list(object<ThrottleDevice>({ Path: string, Rate: uint }));

const resourceFields = {
  CpuShares: int,
  Memory: int,
  CgroupParent: string,
  BlkioWeight: uint16,
  BlkioWeightDevice: list(object<{ Path?: string; Weight?: number }>({ Path: string, Weight: uint16 })),
  BlkioDeviceReadBps: throttles,
  BlkioDeviceWriteBps: throttles,
  BlkioDeviceReadIOps: throttles,
  BlkioDeviceWriteIOps: throttles,
  CpuPeriod: int,
  CpuQuota: int,
  CpuRealtimePeriod: int,
  CpuRealtimeRuntime: int,
  CpusetCpus: string,
  CpusetMems: string,
  Devices: list(
    object<DeviceMapping>({ PathOnHost: string, PathInContainer: string, CgroupPermissions: string }),
  ),
  DeviceCgroupRules: strings,
  DeviceRequests: list(
    object<DeviceRequest>({
      Driver: string,
      Count: int,
      DeviceIDs: strings,
      Capabilities: list(strings),
      Options: map(string),
    }),
  ),
  MemoryReservation: int,
  MemorySwap: int,
  MemorySwappiness: int,
  NanoCpus: int,
  OomKillDisable: bool,
  Init: bool,
  PidsLimit: int,
  Ulimits: list(
    object<{ Name?: string; Soft?: number; Hard?: number }>({ Name: string, Soft: int, Hard: int }),
  ),
  CpuCount: int,
  CpuPercent: int,
  IOMaximumIOps: uint,
  IOMaximumBandwidth: uint,
};

const restartPolicyShape: Shape<RestartPolicy> = object<RestartPolicy>({
  Name: string,
  MaximumRetryCount: int,
});

export const hostConfigShape: Shape<TugHostConfig> = object<TugHostConfig>({
  ...resourceFields,
  Secrets: list(
    object<SecretReference>({ Source: string, Target: string, UID: string, GID: string, Mode: uint }),
  ),
  DependsOn: map(object<Dependency>({ Condition: oneOf("started", "healthy", "completed") })),
  Binds: strings,
  ContainerIDFile: string,
  LogConfig: object<NonNullable<TugHostConfig["LogConfig"]>>({ Type: string, Config: map(string) }),
  NetworkMode: string,
  PortBindings: nullableMap(list(object<PortBinding>({ HostIp: string, HostPort: string }))),
  RestartPolicy: restartPolicyShape,
  AutoRemove: bool,
  VolumeDriver: string,
  VolumesFrom: strings,
  Mounts: list(mountShape),
  ConsoleSize: list(uint),
  Annotations: map(string),
  CapAdd: words,
  CapDrop: words,
  CgroupnsMode: string,
  Dns: strings,
  DnsOptions: strings,
  DnsSearch: strings,
  ExtraHosts: strings,
  GroupAdd: strings,
  IpcMode: string,
  Cgroup: string,
  Links: strings,
  OomScoreAdj: int,
  PidMode: string,
  Privileged: bool,
  PublishAllPorts: bool,
  ReadonlyRootfs: bool,
  SecurityOpt: strings,
  StorageOpt: map(string),
  Tmpfs: map(string),
  UTSMode: string,
  UsernsMode: string,
  ShmSize: int,
  Sysctls: map(string),
  Runtime: string,
  Isolation: string,
  MaskedPaths: strings,
  ReadonlyPaths: strings,
});

/** What a create request can hold on the wire; `MacAddress` is the container-wide one of versions before 1.44. */
export type CreateBody = Omit<ContainerConfig, "Healthcheck"> & {
  Healthcheck?: TugHealthConfig;
  MacAddress?: string;
  HostConfig?: TugHostConfig;
  NetworkingConfig?: NetworkingConfig;
};

export const createShape: Shape<CreateBody> = object<CreateBody>({
  ...configFields,
  MacAddress: string,
  HostConfig: hostConfigShape,
  NetworkingConfig: object<NetworkingConfig>({ EndpointsConfig: map(endpointShape) }),
});

export type UpdateBody = Resources & {
  RestartPolicy?: RestartPolicy;
  PublishAdd?: string[];
  PublishRm?: string[];
};

export const updateShape: Shape<UpdateBody> = object<UpdateBody>({
  ...resourceFields,
  RestartPolicy: restartPolicyShape,
  PublishAdd: strings,
  PublishRm: strings,
});

/** The pair [height, width]. */
const consoleSize: Shape<readonly [number, number]> = {
  type: "[2]uint",
  read(value, field) {
    const [height = 0, width = 0] = list(uint).read(value, field);
    return [height, width];
  },
};

export const execCreateShape: Shape<ExecCreateRequest> = object<ExecCreateRequest>({
  AttachStdin: bool,
  AttachStdout: bool,
  AttachStderr: bool,
  ConsoleSize: consoleSize,
  DetachKeys: string,
  Tty: bool,
  Env: strings,
  Cmd: words,
  Privileged: bool,
  User: string,
  WorkingDir: string,
});

export const execStartShape = object<{
  Detach?: boolean;
  Tty?: boolean;
  ConsoleSize?: readonly [number, number];
}>({ Detach: bool, Tty: bool, ConsoleSize: consoleSize });
