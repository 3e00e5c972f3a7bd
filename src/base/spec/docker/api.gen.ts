// Wire shapes of the Docker Engine API 1.56: names and field types of the published OpenAPI definitions.
// Every field is optional where the definition does not require it; older API versions leave fields out.

/** Definition `ImageHistoryResponseItem`. */
export type ImageHistoryResponseItem = {
  Id: string;
  Created: number;
  CreatedBy: string;
  Tags: Array<string>;
  Size: number;
  Comment: string;
};

/** Definition `PortSummary`. */
export type PortSummary = {
  IP?: string | undefined;
  PrivatePort: number;
  PublicPort?: number | undefined;
  Type: string;
};

/** Definition `MountType`. */
export type MountType = string;

/** Definition `MountPoint`. */
export type MountPoint = {
  Type?: (MountType) | undefined;
  Name?: string | undefined;
  Source?: string | undefined;
  Destination?: string | undefined;
  Driver?: string | undefined;
  Mode?: string | undefined;
  RW?: boolean | undefined;
  Propagation?: string | undefined;
};

/** Definition `DeviceMapping`. */
export type DeviceMapping = {
  PathOnHost?: string | undefined;
  PathInContainer?: string | undefined;
  CgroupPermissions?: string | undefined;
};

/** Definition `DeviceRequest`. */
export type DeviceRequest = {
  Driver?: string | undefined;
  Count?: number | undefined;
  DeviceIDs?: Array<string> | undefined;
  Capabilities?: Array<Array<string>> | undefined;
  Options?: Record<string, string> | undefined;
};

/** Definition `ThrottleDevice`. */
export type ThrottleDevice = {
  Path?: string | undefined;
  Rate?: number | undefined;
};

/** Definition `Mount`. */
export type Mount = {
  Target?: string | undefined;
  Source?: string | undefined;
  Type?: (MountType) | undefined;
  ReadOnly?: boolean | undefined;
  Consistency?: string | undefined;
  BindOptions?: {
    Propagation?: string | undefined;
    NonRecursive?: boolean | undefined;
    CreateMountpoint?: boolean | undefined;
    ReadOnlyNonRecursive?: boolean | undefined;
    ReadOnlyForceRecursive?: boolean | undefined;
  } | undefined;
  VolumeOptions?: {
    NoCopy?: boolean | undefined;
    Labels?: Record<string, string> | undefined;
    DriverConfig?: {
      Name?: string | undefined;
      Options?: Record<string, string> | undefined;
    } | undefined;
    Subpath?: string | undefined;
  } | undefined;
  ImageOptions?: {
    Subpath?: string | undefined;
  } | undefined;
  TmpfsOptions?: {
    SizeBytes?: number | undefined;
    Mode?: number | undefined;
    Options?: Array<Array<string>> | undefined;
  } | undefined;
};

/** Definition `RestartPolicy`. */
export type RestartPolicy = {
  Name?: string | undefined;
  MaximumRetryCount?: number | undefined;
};

/** Definition `Resources`. */
export type Resources = {
  CpuShares?: number | undefined;
  Memory?: number | undefined;
  CgroupParent?: string | undefined;
  BlkioWeight?: number | undefined;
  BlkioWeightDevice?: Array<{
    Path?: string | undefined;
    Weight?: number | undefined;
  }> | undefined;
  BlkioDeviceReadBps?: Array<ThrottleDevice> | undefined;
  BlkioDeviceWriteBps?: Array<ThrottleDevice> | undefined;
  BlkioDeviceReadIOps?: Array<ThrottleDevice> | undefined;
  BlkioDeviceWriteIOps?: Array<ThrottleDevice> | undefined;
  CpuPeriod?: number | undefined;
  CpuQuota?: number | undefined;
  CpuRealtimePeriod?: number | undefined;
  CpuRealtimeRuntime?: number | undefined;
  CpusetCpus?: string | undefined;
  CpusetMems?: string | undefined;
  Devices?: Array<DeviceMapping> | undefined;
  DeviceCgroupRules?: Array<string> | undefined;
  DeviceRequests?: Array<DeviceRequest> | undefined;
  MemoryReservation?: number | undefined;
  MemorySwap?: number | undefined;
  MemorySwappiness?: number | undefined;
  NanoCpus?: number | undefined;
  OomKillDisable?: boolean | undefined;
  Init?: boolean | null | undefined;
  PidsLimit?: number | null | undefined;
  Ulimits?: Array<{
    Name?: string | undefined;
    Soft?: number | undefined;
    Hard?: number | undefined;
  }> | undefined;
  CpuCount?: number | undefined;
  CpuPercent?: number | undefined;
  IOMaximumIOps?: number | undefined;
  IOMaximumBandwidth?: number | undefined;
};

/** Definition `Limit`. */
export type Limit = {
  NanoCPUs?: number | undefined;
  MemoryBytes?: number | undefined;
  Pids?: number | undefined;
};

/** Definition `ResourceObject`. */
export type ResourceObject = {
  NanoCPUs?: number | undefined;
  MemoryBytes?: number | undefined;
  GenericResources?: GenericResources | undefined;
};

/** Definition `GenericResources`. */
export type GenericResources = Array<{
  NamedResourceSpec?: {
    Kind?: string | undefined;
    Value?: string | undefined;
  } | undefined;
  DiscreteResourceSpec?: {
    Kind?: string | undefined;
    Value?: number | undefined;
  } | undefined;
}>;

/** Definition `HealthConfig`. */
export type HealthConfig = {
  Test?: Array<string> | undefined;
  Interval?: number | undefined;
  Timeout?: number | undefined;
  Retries?: number | undefined;
  StartPeriod?: number | undefined;
  StartInterval?: number | undefined;
};

/** Definition `Health`. */
export type Health = {
  Status?: string | undefined;
  FailingStreak?: number | undefined;
  Log?: Array<HealthcheckResult> | undefined;
} | null;

/** Definition `HealthcheckResult`. */
export type HealthcheckResult = {
  Start?: string | undefined;
  End?: string | undefined;
  ExitCode?: number | undefined;
  Output?: string | undefined;
} | null;

/** Definition `HostConfig`. */
export type HostConfig = (Resources) & ({
  Binds?: Array<string> | undefined;
  ContainerIDFile?: string | undefined;
  LogConfig?: {
    Type?: string | undefined;
    Config?: Record<string, string> | undefined;
  } | undefined;
  NetworkMode?: string | undefined;
  PortBindings?: PortMap | undefined;
  RestartPolicy?: RestartPolicy | undefined;
  AutoRemove?: boolean | undefined;
  VolumeDriver?: string | undefined;
  VolumesFrom?: Array<string> | undefined;
  Mounts?: Array<Mount> | undefined;
  ConsoleSize?: Array<number> | null | undefined;
  Annotations?: Record<string, string> | undefined;
  CapAdd?: Array<string> | undefined;
  CapDrop?: Array<string> | undefined;
  CgroupnsMode?: string | undefined;
  Dns?: Array<string> | undefined;
  DnsOptions?: Array<string> | undefined;
  DnsSearch?: Array<string> | undefined;
  ExtraHosts?: Array<string> | undefined;
  GroupAdd?: Array<string> | undefined;
  IpcMode?: string | undefined;
  Cgroup?: string | undefined;
  Links?: Array<string> | undefined;
  OomScoreAdj?: number | undefined;
  PidMode?: string | undefined;
  Privileged?: boolean | undefined;
  PublishAllPorts?: boolean | undefined;
  ReadonlyRootfs?: boolean | undefined;
  SecurityOpt?: Array<string> | undefined;
  StorageOpt?: Record<string, string> | undefined;
  Tmpfs?: Record<string, string> | undefined;
  UTSMode?: string | undefined;
  UsernsMode?: string | undefined;
  ShmSize?: number | undefined;
  Sysctls?: Record<string, string> | null | undefined;
  Runtime?: string | null | undefined;
  Isolation?: string | undefined;
  MaskedPaths?: Array<string> | undefined;
  ReadonlyPaths?: Array<string> | undefined;
});

/** Definition `ContainerConfig`. */
export type ContainerConfig = {
  Hostname?: string | undefined;
  Domainname?: string | undefined;
  User?: string | undefined;
  AttachStdin?: boolean | undefined;
  AttachStdout?: boolean | undefined;
  AttachStderr?: boolean | undefined;
  ExposedPorts?: Record<string, Record<string, unknown>> | null | undefined;
  Tty?: boolean | undefined;
  OpenStdin?: boolean | undefined;
  StdinOnce?: boolean | undefined;
  Env?: Array<string> | undefined;
  Cmd?: Array<string> | undefined;
  Healthcheck?: HealthConfig | undefined;
  ArgsEscaped?: boolean | null | undefined;
  Image?: string | undefined;
  Volumes?: Record<string, Record<string, unknown>> | undefined;
  WorkingDir?: string | undefined;
  Entrypoint?: Array<string> | undefined;
  NetworkDisabled?: boolean | null | undefined;
  OnBuild?: Array<string> | null | undefined;
  Labels?: Record<string, string> | undefined;
  StopSignal?: string | null | undefined;
  StopTimeout?: number | null | undefined;
  Shell?: Array<string> | null | undefined;
};

/** Definition `ImageConfig`. */
export type ImageConfig = {
  User?: string | undefined;
  ExposedPorts?: Record<string, Record<string, unknown>> | null | undefined;
  Env?: Array<string> | undefined;
  Cmd?: Array<string> | undefined;
  Healthcheck?: HealthConfig | undefined;
  ArgsEscaped?: boolean | null | undefined;
  Volumes?: Record<string, Record<string, unknown>> | undefined;
  WorkingDir?: string | undefined;
  Entrypoint?: Array<string> | undefined;
  OnBuild?: Array<string> | null | undefined;
  Labels?: Record<string, string> | undefined;
  StopSignal?: string | null | undefined;
  Shell?: Array<string> | null | undefined;
};

/** Definition `NetworkingConfig`. */
export type NetworkingConfig = {
  EndpointsConfig?: Record<string, EndpointSettings> | undefined;
};

/** Definition `NetworkSettings`. */
export type NetworkSettings = {
  SandboxID?: string | undefined;
  SandboxKey?: string | undefined;
  Ports?: PortMap | undefined;
  Networks?: Record<string, EndpointSettings> | undefined;
};

/** Definition `Address`. */
export type Address = {
  Addr?: string | undefined;
  PrefixLen?: number | undefined;
};

/** Definition `PortMap`. */
export type PortMap = Record<string, Array<PortBinding> | null>;

/** Definition `PortBinding`. */
export type PortBinding = {
  HostIp?: string | undefined;
  HostPort?: string | undefined;
};

/** Definition `DriverData`. */
export type DriverData = {
  Name: string;
  Data: Record<string, string>;
};

/** Definition `Storage`. */
export type Storage = {
  RootFS?: RootFSStorage | null | undefined;
};

/** Definition `RootFSStorage`. */
export type RootFSStorage = {
  Snapshot?: RootFSStorageSnapshot | null | undefined;
};

/** Definition `RootFSStorageSnapshot`. */
export type RootFSStorageSnapshot = {
  Name?: string | undefined;
};

/** Definition `FilesystemChange`. */
export type FilesystemChange = {
  Path: string;
  Kind: ChangeType;
};

/** Definition `ChangeType`. */
export type ChangeType = number;

/** Definition `ImageInspect`. */
export type ImageInspect = {
  Id?: string | undefined;
  Descriptor?: OCIDescriptor | null | undefined;
  Manifests?: Array<ImageManifestSummary> | null | undefined;
  Identity?: Identity | null | undefined;
  RepoTags?: Array<string> | undefined;
  RepoDigests?: Array<string> | undefined;
  Comment?: string | null | undefined;
  Created?: string | null | undefined;
  Author?: string | null | undefined;
  Config?: ImageConfig | undefined;
  Architecture?: string | undefined;
  Variant?: string | null | undefined;
  Os?: string | undefined;
  OsVersion?: string | null | undefined;
  Size?: number | undefined;
  GraphDriver?: DriverData | null | undefined;
  RootFS?: {
    Type: string;
    Layers?: Array<string> | undefined;
  } | undefined;
  Metadata?: {
    LastTagTime?: string | null | undefined;
  } | undefined;
};

/** Definition `Identity`. */
export type Identity = {
  Signature?: Array<SignatureIdentity> | undefined;
  Pull?: Array<PullIdentity> | undefined;
  Build?: Array<BuildIdentity> | undefined;
};

/** Definition `BuildIdentity`. */
export type BuildIdentity = {
  Ref?: string | undefined;
  CreatedAt?: string | undefined;
};

/** Definition `PullIdentity`. */
export type PullIdentity = {
  Repository?: string | undefined;
};

/** Definition `SignatureIdentity`. */
export type SignatureIdentity = {
  Name?: string | undefined;
  Timestamps?: Array<SignatureTimestamp> | undefined;
  KnownSigner?: KnownSignerIdentity | undefined;
  DockerReference?: string | undefined;
  Signer?: SignerIdentity | undefined;
  SignatureType?: SignatureType | undefined;
  Error?: string | undefined;
  Warnings?: Array<string> | undefined;
};

/** Definition `SignatureTimestamp`. */
export type SignatureTimestamp = {
  Type?: SignatureTimestampType | undefined;
  URI?: string | undefined;
  Timestamp?: string | undefined;
};

/** Definition `SignatureTimestampType`. */
export type SignatureTimestampType = string;

/** Definition `SignatureType`. */
export type SignatureType = string;

/** Definition `KnownSignerIdentity`. */
export type KnownSignerIdentity = string;

/** Definition `SignerIdentity`. */
export type SignerIdentity = {
  CertificateIssuer?: string | undefined;
  SubjectAlternativeName?: string | undefined;
  Issuer?: string | undefined;
  BuildSignerURI?: string | undefined;
  BuildSignerDigest?: string | undefined;
  RunnerEnvironment?: string | undefined;
  SourceRepositoryURI?: string | undefined;
  SourceRepositoryDigest?: string | undefined;
  SourceRepositoryRef?: string | undefined;
  SourceRepositoryIdentifier?: string | undefined;
  SourceRepositoryOwnerURI?: string | undefined;
  SourceRepositoryOwnerIdentifier?: string | undefined;
  BuildConfigURI?: string | undefined;
  BuildConfigDigest?: string | undefined;
  BuildTrigger?: string | undefined;
  RunInvocationURI?: string | undefined;
  SourceRepositoryVisibilityAtSigning?: string | undefined;
};

/** Definition `ImageSummary`. */
export type ImageSummary = {
  Id: string;
  ParentId: string;
  RepoTags: Array<string>;
  RepoDigests: Array<string>;
  Created: number;
  Size: number;
  SharedSize: number;
  Labels: Record<string, string>;
  Containers: number;
  Manifests?: Array<ImageManifestSummary> | undefined;
  Descriptor?: OCIDescriptor | null | undefined;
};

/** Definition `ImagesDiskUsage`. */
export type ImagesDiskUsage = {
  ActiveCount?: number | undefined;
  TotalCount?: number | undefined;
  Reclaimable?: number | undefined;
  TotalSize?: number | undefined;
  Items?: Array<unknown> | undefined;
};

/** Definition `AuthConfig`. */
export type AuthConfig = {
  username?: string | undefined;
  password?: string | undefined;
  serveraddress?: string | undefined;
};

/** Definition `AuthResponse`. */
export type AuthResponse = {
  Status: string;
  IdentityToken?: string | undefined;
};

/** Definition `ProcessConfig`. */
export type ProcessConfig = {
  privileged?: boolean | undefined;
  user?: string | undefined;
  tty?: boolean | undefined;
  entrypoint?: string | undefined;
  arguments?: Array<string> | undefined;
};

/** Definition `Volume`. */
export type Volume = {
  Name: string;
  Driver: string;
  Mountpoint: string;
  CreatedAt?: string | undefined;
  Status?: Record<string, Record<string, unknown>> | undefined;
  Labels: Record<string, string>;
  Scope: string;
  ClusterVolume?: ClusterVolume | undefined;
  Options: Record<string, string>;
  UsageData?: {
    Size: number;
    RefCount: number;
  } | null | undefined;
};

/** Definition `VolumesDiskUsage`. */
export type VolumesDiskUsage = {
  ActiveCount?: number | undefined;
  TotalCount?: number | undefined;
  Reclaimable?: number | undefined;
  TotalSize?: number | undefined;
  Items?: Array<unknown> | undefined;
};

/** Definition `VolumeCreateRequest`. */
export type VolumeCreateRequest = {
  Name?: string | undefined;
  Driver?: string | undefined;
  DriverOpts?: Record<string, string> | undefined;
  Labels?: Record<string, string> | undefined;
  ClusterVolumeSpec?: ClusterVolumeSpec | undefined;
};

/** Definition `VolumeListResponse`. */
export type VolumeListResponse = {
  Volumes?: Array<Volume> | undefined;
  Warnings?: Array<string> | undefined;
};

/** Definition `Network`. */
export type Network = {
  Name?: string | undefined;
  Id?: string | undefined;
  Created?: string | undefined;
  Scope?: string | undefined;
  Driver?: string | undefined;
  EnableIPv4?: boolean | undefined;
  EnableIPv6?: boolean | undefined;
  IPAM?: IPAM | undefined;
  Internal?: boolean | undefined;
  Attachable?: boolean | undefined;
  Ingress?: boolean | undefined;
  ConfigFrom?: ConfigReference | undefined;
  ConfigOnly?: boolean | undefined;
  Options?: Record<string, string> | undefined;
  Labels?: Record<string, string> | undefined;
  Peers?: Array<PeerInfo> | undefined;
};

/** Definition `NetworkSummary`. */
export type NetworkSummary = (Network);

/** Definition `NetworkInspect`. */
export type NetworkInspect = (Network);

/** Definition `NetworkStatus`. */
export type NetworkStatus = {
  IPAM?: IPAMStatus | undefined;
};

/** Definition `ServiceInfo`. */
export type ServiceInfo = {
  VIP?: string | undefined;
  Ports?: Array<string> | undefined;
  LocalLBIndex?: number | undefined;
  Tasks?: Array<NetworkTaskInfo> | undefined;
};

/** Definition `NetworkTaskInfo`. */
export type NetworkTaskInfo = {
  Name?: string | undefined;
  EndpointID?: string | undefined;
  EndpointIP?: string | undefined;
  Info?: Record<string, string> | undefined;
};

/** Definition `ConfigReference`. */
export type ConfigReference = {
  Network?: string | undefined;
};

/** Definition `IPAM`. */
export type IPAM = {
  Driver?: string | undefined;
  Config?: Array<IPAMConfig> | undefined;
  Options?: Record<string, string> | undefined;
};

/** Definition `IPAMConfig`. */
export type IPAMConfig = {
  Subnet?: string | undefined;
  IPRange?: string | undefined;
  Gateway?: string | undefined;
  AuxiliaryAddresses?: Record<string, string> | undefined;
};

/** Definition `IPAMStatus`. */
export type IPAMStatus = {
  Subnets?: Record<string, SubnetStatus> | undefined;
};

/** Definition `SubnetStatus`. */
export type SubnetStatus = {
  IPsInUse?: number | undefined;
  DynamicIPsAvailable?: number | undefined;
};

/** Definition `EndpointResource`. */
export type EndpointResource = {
  Name?: string | undefined;
  EndpointID?: string | undefined;
  MacAddress?: string | undefined;
  IPv4Address?: string | undefined;
  IPv6Address?: string | undefined;
};

/** Definition `PeerInfo`. */
export type PeerInfo = {
  Name?: string | undefined;
  IP?: string | undefined;
};

/** Definition `NetworkCreateResponse`. */
export type NetworkCreateResponse = {
  Id: string;
  Warning: string;
};

/** Definition `BuildInfo`. */
export type BuildInfo = {
  id?: string | undefined;
  stream?: string | undefined;
  errorDetail?: ErrorDetail | undefined;
  status?: string | undefined;
  progressDetail?: ProgressDetail | undefined;
  aux?: ImageID | undefined;
};

/** Definition `BuildCache`. */
export type BuildCache = {
  ID?: string | undefined;
  Parents?: Array<string> | null | undefined;
  Type?: string | undefined;
  Description?: string | undefined;
  InUse?: boolean | undefined;
  Shared?: boolean | undefined;
  Size?: number | undefined;
  CreatedAt?: string | undefined;
  LastUsedAt?: string | null | undefined;
  UsageCount?: number | undefined;
};

/** Definition `BuildCacheDiskUsage`. */
export type BuildCacheDiskUsage = {
  ActiveCount?: number | undefined;
  TotalCount?: number | undefined;
  Reclaimable?: number | undefined;
  TotalSize?: number | undefined;
  Items?: Array<unknown> | undefined;
};

/** Definition `ImageID`. */
export type ImageID = {
  ID?: string | undefined;
};

/** Definition `CreateImageInfo`. */
export type CreateImageInfo = {
  id?: string | undefined;
  errorDetail?: ErrorDetail | undefined;
  status?: string | undefined;
  progressDetail?: ProgressDetail | undefined;
};

/** Definition `PushImageInfo`. */
export type PushImageInfo = {
  errorDetail?: ErrorDetail | undefined;
  status?: string | undefined;
  progressDetail?: ProgressDetail | undefined;
};

/** Definition `DeviceInfo`. */
export type DeviceInfo = {
  Source?: string | undefined;
  ID?: string | undefined;
};

/** Definition `NRIInfo`. */
export type NRIInfo = {
  Info?: Array<Array<string>> | undefined;
} | null;

/** Definition `ErrorDetail`. */
export type ErrorDetail = {
  code?: number | undefined;
  message?: string | undefined;
};

/** Definition `ProgressDetail`. */
export type ProgressDetail = {
  current?: number | undefined;
  total?: number | undefined;
};

/** Definition `ErrorResponse`. */
export type ErrorResponse = {
  message: string;
};

/** Definition `IDResponse`. */
export type IDResponse = {
  Id: string;
};

/** Definition `NetworkConnectRequest`. */
export type NetworkConnectRequest = {
  Container: string;
  EndpointConfig?: EndpointSettings | null | undefined;
};

/** Definition `NetworkDisconnectRequest`. */
export type NetworkDisconnectRequest = {
  Container: string;
  Force?: boolean | undefined;
};

/** Definition `EndpointSettings`. */
export type EndpointSettings = {
  IPAMConfig?: EndpointIPAMConfig | undefined;
  Links?: Array<string> | undefined;
  MacAddress?: string | undefined;
  Aliases?: Array<string> | undefined;
  DriverOpts?: Record<string, string> | null | undefined;
  GwPriority?: number | undefined;
  NetworkID?: string | undefined;
  EndpointID?: string | undefined;
  Gateway?: string | undefined;
  IPAddress?: string | undefined;
  IPPrefixLen?: number | undefined;
  IPv6Gateway?: string | undefined;
  GlobalIPv6Address?: string | undefined;
  GlobalIPv6PrefixLen?: number | undefined;
  DNSNames?: Array<string> | undefined;
};

/** Definition `EndpointIPAMConfig`. */
export type EndpointIPAMConfig = {
  IPv4Address?: string | undefined;
  IPv6Address?: string | undefined;
  LinkLocalIPs?: Array<string> | undefined;
} | null;

/** Definition `PluginMount`. */
export type PluginMount = {
  Name: string;
  Description: string;
  Settable: Array<string>;
  Source: string;
  Destination: string;
  Type: string;
  Options: Array<string>;
};

/** Definition `PluginDevice`. */
export type PluginDevice = {
  Name: string;
  Description: string;
  Settable: Array<string>;
  Path: string;
};

/** Definition `PluginEnv`. */
export type PluginEnv = {
  Name: string;
  Description: string;
  Settable: Array<string>;
  Value: string;
};

/** Definition `PluginPrivilege`. */
export type PluginPrivilege = {
  Name?: string | undefined;
  Description?: string | undefined;
  Value?: Array<string> | undefined;
};

/** Definition `Plugin`. */
export type Plugin = {
  Id?: string | undefined;
  Name: string;
  Enabled: boolean;
  Settings: {
    Mounts: Array<PluginMount>;
    Env: Array<string>;
    Args: Array<string>;
    Devices: Array<PluginDevice>;
  };
  PluginReference?: string | undefined;
  Config: {
    Description: string;
    Documentation: string;
    Interface: {
      Types: Array<string>;
      Socket: string;
      ProtocolScheme?: string | undefined;
    };
    Entrypoint: Array<string>;
    WorkDir: string;
    User?: {
      UID?: number | undefined;
      GID?: number | undefined;
    } | undefined;
    Network: {
      Type: string;
    };
    Linux: {
      Capabilities: Array<string>;
      AllowAllDevices: boolean;
      Devices: Array<PluginDevice>;
    };
    PropagatedMount: string;
    IpcHost: boolean;
    PidHost: boolean;
    Mounts: Array<PluginMount>;
    Env: Array<PluginEnv>;
    Args: {
      Name: string;
      Description: string;
      Settable: Array<string>;
      Value: Array<string>;
    };
    rootfs?: {
      type?: string | undefined;
      diff_ids?: Array<string> | undefined;
    } | undefined;
  };
};

/** Definition `ObjectVersion`. */
export type ObjectVersion = {
  Index?: number | undefined;
};

/** Definition `NodeSpec`. */
export type NodeSpec = {
  Name?: string | undefined;
  Labels?: Record<string, string> | undefined;
  Role?: string | undefined;
  Availability?: string | undefined;
};

/** Definition `Node`. */
export type Node = {
  ID?: string | undefined;
  Version?: ObjectVersion | undefined;
  CreatedAt?: string | undefined;
  UpdatedAt?: string | undefined;
  Spec?: NodeSpec | undefined;
  Description?: NodeDescription | undefined;
  Status?: NodeStatus | undefined;
  ManagerStatus?: ManagerStatus | undefined;
};

/** Definition `NodeDescription`. */
export type NodeDescription = {
  Hostname?: string | undefined;
  Platform?: Platform | undefined;
  Resources?: ResourceObject | undefined;
  Engine?: EngineDescription | undefined;
  TLSInfo?: TLSInfo | undefined;
};

/** Definition `Platform`. */
export type Platform = {
  Architecture?: string | undefined;
  OS?: string | undefined;
};

/** Definition `EngineDescription`. */
export type EngineDescription = {
  EngineVersion?: string | undefined;
  Labels?: Record<string, string> | undefined;
  Plugins?: Array<{
    Type?: string | undefined;
    Name?: string | undefined;
  }> | undefined;
};

/** Definition `TLSInfo`. */
export type TLSInfo = {
  TrustRoot?: string | undefined;
  CertIssuerSubject?: string | undefined;
  CertIssuerPublicKey?: string | undefined;
};

/** Definition `NodeStatus`. */
export type NodeStatus = {
  State?: NodeState | undefined;
  Message?: string | undefined;
  Addr?: string | undefined;
};

/** Definition `NodeState`. */
export type NodeState = string;

/** Definition `ManagerStatus`. */
export type ManagerStatus = {
  Leader?: boolean | undefined;
  Reachability?: Reachability | undefined;
  Addr?: string | undefined;
} | null;

/** Definition `Reachability`. */
export type Reachability = string;

/** Definition `SwarmSpec`. */
export type SwarmSpec = {
  Name?: string | undefined;
  Labels?: Record<string, string> | undefined;
  Orchestration?: {
    TaskHistoryRetentionLimit?: number | undefined;
  } | null | undefined;
  Raft?: {
    SnapshotInterval?: number | undefined;
    KeepOldSnapshots?: number | undefined;
    LogEntriesForSlowFollowers?: number | undefined;
    ElectionTick?: number | undefined;
    HeartbeatTick?: number | undefined;
  } | undefined;
  Dispatcher?: {
    HeartbeatPeriod?: number | undefined;
  } | null | undefined;
  CAConfig?: {
    NodeCertExpiry?: number | undefined;
    ExternalCAs?: Array<{
      Protocol?: string | undefined;
      URL?: string | undefined;
      Options?: Record<string, string> | undefined;
      CACert?: string | undefined;
    }> | undefined;
    SigningCACert?: string | undefined;
    SigningCAKey?: string | undefined;
    ForceRotate?: number | undefined;
  } | null | undefined;
  EncryptionConfig?: {
    AutoLockManagers?: boolean | undefined;
  } | undefined;
  TaskDefaults?: {
    LogDriver?: {
      Name?: string | undefined;
      Options?: Record<string, string> | undefined;
    } | undefined;
  } | undefined;
};

/** Definition `ClusterInfo`. */
export type ClusterInfo = {
  ID?: string | undefined;
  Version?: ObjectVersion | undefined;
  CreatedAt?: string | undefined;
  UpdatedAt?: string | undefined;
  Spec?: SwarmSpec | undefined;
  TLSInfo?: TLSInfo | undefined;
  RootRotationInProgress?: boolean | undefined;
  DataPathPort?: number | undefined;
  DefaultAddrPool?: Array<string> | undefined;
  SubnetSize?: number | undefined;
} | null;

/** Definition `JoinTokens`. */
export type JoinTokens = {
  Worker?: string | undefined;
  Manager?: string | undefined;
};

/** Definition `Swarm`. */
export type Swarm = (ClusterInfo) & ({
  JoinTokens?: JoinTokens | undefined;
});

/** Definition `TaskSpec`. */
export type TaskSpec = {
  PluginSpec?: {
    Name?: string | undefined;
    Remote?: string | undefined;
    Disabled?: boolean | undefined;
    PluginPrivilege?: Array<PluginPrivilege> | undefined;
  } | undefined;
  ContainerSpec?: {
    Image?: string | undefined;
    Labels?: Record<string, string> | undefined;
    Command?: Array<string> | undefined;
    Args?: Array<string> | undefined;
    Hostname?: string | undefined;
    Env?: Array<string> | undefined;
    Dir?: string | undefined;
    User?: string | undefined;
    Groups?: Array<string> | undefined;
    Privileges?: {
      CredentialSpec?: {
        Config?: string | undefined;
        File?: string | undefined;
        Registry?: string | undefined;
      } | undefined;
      SELinuxContext?: {
        Disable?: boolean | undefined;
        User?: string | undefined;
        Role?: string | undefined;
        Type?: string | undefined;
        Level?: string | undefined;
      } | undefined;
      Seccomp?: {
        Mode?: string | undefined;
        Profile?: string | undefined;
      } | undefined;
      AppArmor?: {
        Mode?: string | undefined;
      } | undefined;
      NoNewPrivileges?: boolean | undefined;
    } | undefined;
    TTY?: boolean | undefined;
    OpenStdin?: boolean | undefined;
    ReadOnly?: boolean | undefined;
    Mounts?: Array<Mount> | undefined;
    StopSignal?: string | undefined;
    StopGracePeriod?: number | undefined;
    HealthCheck?: HealthConfig | undefined;
    Hosts?: Array<string> | undefined;
    DNSConfig?: {
      Nameservers?: Array<string> | undefined;
      Search?: Array<string> | undefined;
      Options?: Array<string> | undefined;
    } | undefined;
    Secrets?: Array<{
      File?: {
        Name?: string | undefined;
        UID?: string | undefined;
        GID?: string | undefined;
        Mode?: number | undefined;
      } | undefined;
      SecretID?: string | undefined;
      SecretName?: string | undefined;
    }> | undefined;
    OomScoreAdj?: number | undefined;
    Configs?: Array<{
      File?: {
        Name?: string | undefined;
        UID?: string | undefined;
        GID?: string | undefined;
        Mode?: number | undefined;
      } | undefined;
      Runtime?: Record<string, unknown> | undefined;
      ConfigID?: string | undefined;
      ConfigName?: string | undefined;
    }> | undefined;
    Isolation?: string | undefined;
    Init?: boolean | null | undefined;
    Sysctls?: Record<string, string> | undefined;
    CapabilityAdd?: Array<string> | undefined;
    CapabilityDrop?: Array<string> | undefined;
    Ulimits?: Array<{
      Name?: string | undefined;
      Soft?: number | undefined;
      Hard?: number | undefined;
    }> | undefined;
  } | undefined;
  NetworkAttachmentSpec?: {
    ContainerID?: string | undefined;
  } | undefined;
  Resources?: {
    Limits?: Limit | undefined;
    Reservations?: ResourceObject | undefined;
    SwapBytes?: number | null | undefined;
    MemorySwappiness?: number | null | undefined;
  } | undefined;
  RestartPolicy?: {
    Condition?: string | undefined;
    Delay?: number | undefined;
    MaxAttempts?: number | undefined;
    Window?: number | undefined;
  } | undefined;
  Placement?: {
    Constraints?: Array<string> | undefined;
    Preferences?: Array<{
      Spread?: {
        SpreadDescriptor?: string | undefined;
      } | undefined;
    }> | undefined;
    MaxReplicas?: number | undefined;
    Platforms?: Array<Platform> | undefined;
  } | undefined;
  ForceUpdate?: number | undefined;
  Runtime?: string | undefined;
  Networks?: Array<NetworkAttachmentConfig> | undefined;
  LogDriver?: {
    Name?: string | undefined;
    Options?: Record<string, string> | undefined;
  } | undefined;
};

/** Definition `TaskState`. */
export type TaskState = string;

/** Definition `ContainerStatus`. */
export type ContainerStatus = {
  ContainerID?: string | undefined;
  PID?: number | undefined;
  ExitCode?: number | undefined;
};

/** Definition `PortStatus`. */
export type PortStatus = {
  Ports?: Array<EndpointPortConfig> | undefined;
};

/** Definition `TaskStatus`. */
export type TaskStatus = {
  Timestamp?: string | undefined;
  State?: TaskState | undefined;
  Message?: string | undefined;
  Err?: string | undefined;
  ContainerStatus?: ContainerStatus | undefined;
  PortStatus?: PortStatus | undefined;
};

/** Definition `NetworkAttachment`. */
export type NetworkAttachment = {
  Network?: Network | undefined;
  Addresses?: Array<string> | undefined;
};

/** Definition `Task`. */
export type Task = {
  ID?: string | undefined;
  Version?: ObjectVersion | undefined;
  CreatedAt?: string | undefined;
  UpdatedAt?: string | undefined;
  Name?: string | undefined;
  Labels?: Record<string, string> | undefined;
  Spec?: TaskSpec | undefined;
  ServiceID?: string | undefined;
  Slot?: number | undefined;
  NodeID?: string | undefined;
  AssignedGenericResources?: GenericResources | undefined;
  Status?: TaskStatus | undefined;
  DesiredState?: TaskState | undefined;
  JobIteration?: ObjectVersion | undefined;
  NetworksAttachments?: Array<NetworkAttachment> | undefined;
};

/** Definition `ServiceSpec`. */
export type ServiceSpec = {
  Name?: string | undefined;
  Labels?: Record<string, string> | undefined;
  TaskTemplate?: TaskSpec | undefined;
  Mode?: {
    Replicated?: {
      Replicas?: number | undefined;
    } | undefined;
    Global?: Record<string, unknown> | undefined;
    ReplicatedJob?: {
      MaxConcurrent?: number | undefined;
      TotalCompletions?: number | undefined;
    } | undefined;
    GlobalJob?: Record<string, unknown> | undefined;
  } | undefined;
  UpdateConfig?: {
    Parallelism?: number | undefined;
    Delay?: number | undefined;
    FailureAction?: string | undefined;
    Monitor?: number | undefined;
    MaxFailureRatio?: number | undefined;
    Order?: string | undefined;
  } | undefined;
  RollbackConfig?: {
    Parallelism?: number | undefined;
    Delay?: number | undefined;
    FailureAction?: string | undefined;
    Monitor?: number | undefined;
    MaxFailureRatio?: number | undefined;
    Order?: string | undefined;
  } | undefined;
  Networks?: Array<NetworkAttachmentConfig> | undefined;
  EndpointSpec?: EndpointSpec | undefined;
};

/** Definition `EndpointPortConfig`. */
export type EndpointPortConfig = {
  Name?: string | undefined;
  Protocol?: string | undefined;
  TargetPort?: number | undefined;
  PublishedPort?: number | undefined;
  PublishMode?: string | undefined;
};

/** Definition `EndpointSpec`. */
export type EndpointSpec = {
  Mode?: string | undefined;
  Ports?: Array<EndpointPortConfig> | undefined;
};

/** Definition `Service`. */
export type Service = {
  ID?: string | undefined;
  Version?: ObjectVersion | undefined;
  CreatedAt?: string | undefined;
  UpdatedAt?: string | undefined;
  Spec?: ServiceSpec | undefined;
  Endpoint?: {
    Spec?: EndpointSpec | undefined;
    Ports?: Array<EndpointPortConfig> | undefined;
    VirtualIPs?: Array<{
      NetworkID?: string | undefined;
      Addr?: string | undefined;
    }> | undefined;
  } | undefined;
  UpdateStatus?: {
    State?: string | undefined;
    StartedAt?: string | undefined;
    CompletedAt?: string | undefined;
    Message?: string | undefined;
  } | undefined;
  ServiceStatus?: {
    RunningTasks?: number | undefined;
    DesiredTasks?: number | undefined;
    CompletedTasks?: number | undefined;
  } | undefined;
  JobStatus?: {
    JobIteration?: ObjectVersion | undefined;
    LastExecution?: string | undefined;
  } | undefined;
};

/** Definition `ImageDeleteResponseItem`. */
export type ImageDeleteResponseItem = {
  Untagged?: string | undefined;
  Deleted?: string | undefined;
};

/** Definition `ServiceCreateResponse`. */
export type ServiceCreateResponse = {
  ID?: string | undefined;
  Warnings?: Array<string> | null | undefined;
};

/** Definition `ServiceUpdateResponse`. */
export type ServiceUpdateResponse = {
  Warnings?: Array<string> | undefined;
};

/** Definition `ContainerInspectResponse`. */
export type ContainerInspectResponse = {
  Id?: string | undefined;
  Created?: string | null | undefined;
  Path?: string | undefined;
  Args?: Array<string> | undefined;
  State?: ContainerState | undefined;
  Image?: string | undefined;
  ResolvConfPath?: string | undefined;
  HostnamePath?: string | undefined;
  HostsPath?: string | undefined;
  LogPath?: string | null | undefined;
  Name?: string | undefined;
  RestartCount?: number | undefined;
  Driver?: string | undefined;
  Platform?: string | undefined;
  ImageManifestDescriptor?: OCIDescriptor | undefined;
  MountLabel?: string | undefined;
  ProcessLabel?: string | undefined;
  AppArmorProfile?: string | undefined;
  ExecIDs?: Array<string> | null | undefined;
  HostConfig?: HostConfig | undefined;
  GraphDriver?: DriverData | null | undefined;
  Storage?: Storage | null | undefined;
  SizeRw?: number | null | undefined;
  SizeRootFs?: number | null | undefined;
  Mounts?: Array<MountPoint> | undefined;
  Config?: ContainerConfig | undefined;
  NetworkSettings?: NetworkSettings | undefined;
};

/** Definition `ContainerSummary`. */
export type ContainerSummary = {
  Id?: string | undefined;
  Names?: Array<string> | undefined;
  Image?: string | undefined;
  ImageID?: string | undefined;
  ImageManifestDescriptor?: OCIDescriptor | null | undefined;
  Command?: string | undefined;
  Created?: number | undefined;
  Ports?: Array<PortSummary> | undefined;
  SizeRw?: number | null | undefined;
  SizeRootFs?: number | null | undefined;
  Labels?: Record<string, string> | undefined;
  State?: string | undefined;
  Status?: string | undefined;
  HostConfig?: {
    NetworkMode?: string | undefined;
    Annotations?: Record<string, string> | null | undefined;
  } | undefined;
  NetworkSettings?: {
    Networks?: Record<string, EndpointSettings> | undefined;
  } | undefined;
  Mounts?: Array<MountPoint> | undefined;
  Health?: {
    Status?: string | undefined;
    FailingStreak?: number | undefined;
  } | undefined;
};

/** Definition `ContainersDiskUsage`. */
export type ContainersDiskUsage = {
  ActiveCount?: number | undefined;
  TotalCount?: number | undefined;
  Reclaimable?: number | undefined;
  TotalSize?: number | undefined;
  Items?: Array<unknown> | undefined;
};

/** Definition `Driver`. */
export type Driver = {
  Name: string;
  Options?: Record<string, string> | undefined;
};

/** Definition `SecretSpec`. */
export type SecretSpec = {
  Name?: string | undefined;
  Labels?: Record<string, string> | undefined;
  Data?: string | undefined;
  Driver?: Driver | undefined;
  Templating?: Driver | undefined;
};

/** Definition `Secret`. */
export type Secret = {
  ID?: string | undefined;
  Version?: ObjectVersion | undefined;
  CreatedAt?: string | undefined;
  UpdatedAt?: string | undefined;
  Spec?: SecretSpec | undefined;
};

/** Definition `ConfigSpec`. */
export type ConfigSpec = {
  Name?: string | undefined;
  Labels?: Record<string, string> | undefined;
  Data?: string | undefined;
  Templating?: Driver | undefined;
};

/** Definition `Config`. */
export type Config = {
  ID?: string | undefined;
  Version?: ObjectVersion | undefined;
  CreatedAt?: string | undefined;
  UpdatedAt?: string | undefined;
  Spec?: ConfigSpec | undefined;
};

/** Definition `ContainerState`. */
export type ContainerState = {
  Status?: string | undefined;
  Running?: boolean | undefined;
  Paused?: boolean | undefined;
  Restarting?: boolean | undefined;
  OOMKilled?: boolean | undefined;
  Dead?: boolean | undefined;
  Pid?: number | undefined;
  ExitCode?: number | undefined;
  Error?: string | undefined;
  StartedAt?: string | undefined;
  FinishedAt?: string | undefined;
  Health?: Health | undefined;
} | null;

/** Definition `ContainerCreateResponse`. */
export type ContainerCreateResponse = {
  Id: string;
  Warnings: Array<string>;
};

/** Definition `ContainerUpdateResponse`. */
export type ContainerUpdateResponse = {
  Warnings?: Array<string> | undefined;
};

/** Definition `ContainerStatsResponse`. */
export type ContainerStatsResponse = {
  id?: string | null | undefined;
  name?: string | null | undefined;
  os_type?: string | null | undefined;
  read?: string | undefined;
  cpu_stats?: ContainerCPUStats | undefined;
  memory_stats?: ContainerMemoryStats | undefined;
  networks?: Record<string, ContainerNetworkStats> | null | undefined;
  pids_stats?: ContainerPidsStats | undefined;
  blkio_stats?: ContainerBlkioStats | undefined;
  num_procs?: number | undefined;
  storage_stats?: ContainerStorageStats | undefined;
  preread?: string | undefined;
  precpu_stats?: ContainerCPUStats | undefined;
};

/** Definition `ContainerBlkioStats`. */
export type ContainerBlkioStats = {
  io_service_bytes_recursive?: Array<ContainerBlkioStatEntry> | undefined;
  io_serviced_recursive?: Array<ContainerBlkioStatEntry> | null | undefined;
  io_queue_recursive?: Array<ContainerBlkioStatEntry> | null | undefined;
  io_service_time_recursive?: Array<ContainerBlkioStatEntry> | null | undefined;
  io_wait_time_recursive?: Array<ContainerBlkioStatEntry> | null | undefined;
  io_merged_recursive?: Array<ContainerBlkioStatEntry> | null | undefined;
  io_time_recursive?: Array<ContainerBlkioStatEntry> | null | undefined;
  sectors_recursive?: Array<ContainerBlkioStatEntry> | null | undefined;
} | null;

/** Definition `ContainerBlkioStatEntry`. */
export type ContainerBlkioStatEntry = {
  major?: number | undefined;
  minor?: number | undefined;
  op?: string | undefined;
  value?: number | undefined;
} | null;

/** Definition `ContainerCPUStats`. */
export type ContainerCPUStats = {
  cpu_usage?: ContainerCPUUsage | undefined;
  system_cpu_usage?: number | null | undefined;
  online_cpus?: number | null | undefined;
  throttling_data?: ContainerThrottlingData | undefined;
} | null;

/** Definition `ContainerCPUUsage`. */
export type ContainerCPUUsage = {
  total_usage?: number | undefined;
  percpu_usage?: Array<number> | null | undefined;
  usage_in_kernelmode?: number | undefined;
  usage_in_usermode?: number | undefined;
} | null;

/** Definition `ContainerPidsStats`. */
export type ContainerPidsStats = {
  current?: number | null | undefined;
  limit?: number | null | undefined;
} | null;

/** Definition `ContainerThrottlingData`. */
export type ContainerThrottlingData = {
  periods?: number | undefined;
  throttled_periods?: number | undefined;
  throttled_time?: number | undefined;
} | null;

/** Definition `ContainerMemoryStats`. */
export type ContainerMemoryStats = {
  usage?: number | null | undefined;
  max_usage?: number | null | undefined;
  stats?: Record<string, number | null> | undefined;
  failcnt?: number | null | undefined;
  limit?: number | null | undefined;
  commitbytes?: number | null | undefined;
  commitpeakbytes?: number | null | undefined;
  privateworkingset?: number | null | undefined;
};

/** Definition `ContainerNetworkStats`. */
export type ContainerNetworkStats = {
  rx_bytes?: number | undefined;
  rx_packets?: number | undefined;
  rx_errors?: number | undefined;
  rx_dropped?: number | undefined;
  tx_bytes?: number | undefined;
  tx_packets?: number | undefined;
  tx_errors?: number | undefined;
  tx_dropped?: number | undefined;
  endpoint_id?: string | null | undefined;
  instance_id?: string | null | undefined;
} | null;

/** Definition `ContainerStorageStats`. */
export type ContainerStorageStats = {
  read_count_normalized?: number | null | undefined;
  read_size_bytes?: number | null | undefined;
  write_count_normalized?: number | null | undefined;
  write_size_bytes?: number | null | undefined;
} | null;

/** Definition `ContainerTopResponse`. */
export type ContainerTopResponse = {
  Titles?: Array<string> | undefined;
  Processes?: Array<Array<string>> | undefined;
};

/** Definition `ContainerWaitResponse`. */
export type ContainerWaitResponse = {
  StatusCode: number;
  Error?: ContainerWaitExitError | undefined;
};

/** Definition `ContainerWaitExitError`. */
export type ContainerWaitExitError = {
  Message?: string | undefined;
};

/** Definition `SystemVersion`. */
export type SystemVersion = {
  Platform?: {
    Name: string;
  } | undefined;
  Components?: Array<{
    Name: string;
    Version: string;
    Details?: Record<string, unknown> | null | undefined;
  }> | undefined;
  Version?: string | undefined;
  ApiVersion?: string | undefined;
  MinAPIVersion?: string | undefined;
  GitCommit?: string | undefined;
  GoVersion?: string | undefined;
  Os?: string | undefined;
  Arch?: string | undefined;
  KernelVersion?: string | undefined;
  Experimental?: boolean | undefined;
  BuildTime?: string | undefined;
};

/** Definition `SystemInfo`. */
export type SystemInfo = {
  ID?: string | undefined;
  Containers?: number | undefined;
  ContainersRunning?: number | undefined;
  ContainersPaused?: number | undefined;
  ContainersStopped?: number | undefined;
  Images?: number | undefined;
  Driver?: string | undefined;
  DriverStatus?: Array<Array<string>> | undefined;
  DockerRootDir?: string | undefined;
  Plugins?: PluginsInfo | undefined;
  MemoryLimit?: boolean | undefined;
  SwapLimit?: boolean | undefined;
  CpuCfsPeriod?: boolean | undefined;
  CpuCfsQuota?: boolean | undefined;
  CPUShares?: boolean | undefined;
  CPUSet?: boolean | undefined;
  PidsLimit?: boolean | undefined;
  OomKillDisable?: boolean | undefined;
  IPv4Forwarding?: boolean | undefined;
  Debug?: boolean | undefined;
  NFd?: number | undefined;
  NGoroutines?: number | undefined;
  SystemTime?: string | undefined;
  LoggingDriver?: string | undefined;
  CgroupDriver?: string | undefined;
  CgroupVersion?: string | undefined;
  NEventsListener?: number | undefined;
  KernelVersion?: string | undefined;
  OperatingSystem?: string | undefined;
  OSVersion?: string | undefined;
  OSType?: string | undefined;
  Architecture?: string | undefined;
  NCPU?: number | undefined;
  MemTotal?: number | undefined;
  IndexServerAddress?: string | undefined;
  RegistryConfig?: RegistryServiceConfig | undefined;
  GenericResources?: GenericResources | undefined;
  HttpProxy?: string | undefined;
  HttpsProxy?: string | undefined;
  NoProxy?: string | undefined;
  Name?: string | undefined;
  Labels?: Array<string> | undefined;
  ExperimentalBuild?: boolean | undefined;
  ServerVersion?: string | undefined;
  Runtimes?: Record<string, Runtime> | undefined;
  DefaultRuntime?: string | undefined;
  Swarm?: SwarmInfo | undefined;
  LiveRestoreEnabled?: boolean | undefined;
  Isolation?: string | undefined;
  InitBinary?: string | undefined;
  ContainerdCommit?: Commit | undefined;
  RuncCommit?: Commit | undefined;
  InitCommit?: Commit | undefined;
  SecurityOptions?: Array<string> | undefined;
  ProductLicense?: string | undefined;
  DefaultAddressPools?: Array<{
    Base?: string | undefined;
    Size?: number | undefined;
  }> | undefined;
  FirewallBackend?: FirewallInfo | undefined;
  DiscoveredDevices?: Array<DeviceInfo> | undefined;
  NRI?: NRIInfo | undefined;
  Warnings?: Array<string> | undefined;
  CDISpecDirs?: Array<string> | undefined;
  Containerd?: ContainerdInfo | undefined;
};

/** Definition `ContainerdInfo`. */
export type ContainerdInfo = {
  Address?: string | undefined;
  Namespaces?: {
    Containers?: string | undefined;
    Plugins?: string | undefined;
  } | undefined;
} | null;

/** Definition `FirewallInfo`. */
export type FirewallInfo = {
  Driver?: string | undefined;
  Info?: Array<Array<string>> | undefined;
} | null;

/** Definition `PluginsInfo`. */
export type PluginsInfo = {
  Volume?: Array<string> | undefined;
  Network?: Array<string> | undefined;
  Authorization?: Array<string> | undefined;
  Log?: Array<string> | undefined;
};

/** Definition `RegistryServiceConfig`. */
export type RegistryServiceConfig = {
  InsecureRegistryCIDRs?: Array<string> | undefined;
  IndexConfigs?: Record<string, IndexInfo> | undefined;
  Mirrors?: Array<string> | undefined;
} | null;

/** Definition `IndexInfo`. */
export type IndexInfo = {
  Name?: string | undefined;
  Mirrors?: Array<string> | undefined;
  Secure?: boolean | undefined;
  Official?: boolean | undefined;
} | null;

/** Definition `Runtime`. */
export type Runtime = {
  path?: string | undefined;
  runtimeArgs?: Array<string> | null | undefined;
  status?: Record<string, string> | null | undefined;
};

/** Definition `Commit`. */
export type Commit = {
  ID?: string | undefined;
};

/** Definition `SwarmInfo`. */
export type SwarmInfo = {
  NodeID?: string | undefined;
  NodeAddr?: string | undefined;
  LocalNodeState?: LocalNodeState | undefined;
  ControlAvailable?: boolean | undefined;
  Error?: string | undefined;
  RemoteManagers?: Array<PeerNode> | null | undefined;
  Nodes?: number | null | undefined;
  Managers?: number | null | undefined;
  Cluster?: ClusterInfo | undefined;
};

/** Definition `LocalNodeState`. */
export type LocalNodeState = string;

/** Definition `PeerNode`. */
export type PeerNode = {
  NodeID?: string | undefined;
  Addr?: string | undefined;
};

/** Definition `NetworkAttachmentConfig`. */
export type NetworkAttachmentConfig = {
  Target?: string | undefined;
  Aliases?: Array<string> | undefined;
  DriverOpts?: Record<string, string> | undefined;
};

/** Definition `EventActor`. */
export type EventActor = {
  ID?: string | undefined;
  Attributes?: Record<string, string> | undefined;
};

/** Definition `EventMessage`. */
export type EventMessage = {
  Type?: string | undefined;
  Action?: string | undefined;
  Actor?: EventActor | undefined;
  scope?: string | undefined;
  time?: number | undefined;
  timeNano?: number | undefined;
};

/** Definition `OCIDescriptor`. */
export type OCIDescriptor = {
  mediaType?: string | undefined;
  digest?: string | undefined;
  size?: number | undefined;
  urls?: Array<string> | null | undefined;
  annotations?: Record<string, string> | null | undefined;
  data?: string | null | undefined;
  platform?: OCIPlatform | undefined;
  artifactType?: string | null | undefined;
};

/** Definition `OCIPlatform`. */
export type OCIPlatform = {
  architecture?: string | undefined;
  os?: string | undefined;
  "os.version"?: string | undefined;
  "os.features"?: Array<string> | undefined;
  variant?: string | undefined;
} | null;

/** Definition `DistributionInspect`. */
export type DistributionInspect = {
  Descriptor: OCIDescriptor;
  Platforms: Array<OCIPlatform>;
};

/** Definition `ClusterVolume`. */
export type ClusterVolume = {
  ID?: string | undefined;
  Version?: ObjectVersion | undefined;
  CreatedAt?: string | undefined;
  UpdatedAt?: string | undefined;
  Spec?: ClusterVolumeSpec | undefined;
  Info?: {
    CapacityBytes?: number | undefined;
    VolumeContext?: Record<string, string> | undefined;
    VolumeID?: string | undefined;
    AccessibleTopology?: Array<Topology> | undefined;
  } | undefined;
  PublishStatus?: Array<{
    NodeID?: string | undefined;
    State?: string | undefined;
    PublishContext?: Record<string, string> | undefined;
  }> | undefined;
};

/** Definition `ClusterVolumeSpec`. */
export type ClusterVolumeSpec = {
  Group?: string | undefined;
  AccessMode?: {
    Scope?: string | undefined;
    Sharing?: string | undefined;
    MountVolume?: Record<string, unknown> | undefined;
    Secrets?: Array<{
      Key?: string | undefined;
      Secret?: string | undefined;
    }> | undefined;
    AccessibilityRequirements?: {
      Requisite?: Array<Topology> | undefined;
      Preferred?: Array<Topology> | undefined;
    } | undefined;
    CapacityRange?: {
      RequiredBytes?: number | undefined;
      LimitBytes?: number | undefined;
    } | undefined;
    Availability?: string | undefined;
  } | undefined;
};

/** Definition `Topology`. */
export type Topology = {
  Segments?: Record<string, string> | undefined;
};

/** Definition `AttestationStatement`. */
export type AttestationStatement = {
  Descriptor: OCIDescriptor;
  PredicateType: string;
  Statement?: Record<string, unknown> | null | undefined;
};

/** Definition `ImageManifestSummary`. */
export type ImageManifestSummary = {
  ID: string;
  Descriptor: OCIDescriptor;
  Available: boolean;
  Size: {
    Total: number;
    Content: number;
  };
  Kind: string;
  ImageData?: {
    Platform: OCIPlatform;
    Identity?: Identity | null | undefined;
    Containers: Array<string>;
    Size: {
      Unpacked: number;
    };
  } | null | undefined;
  AttestationData?: {
    For: string;
  } | null | undefined;
};
