import type { Story } from "../story.ts";
import { thrice } from "./thrice.ts";

const inspect = (format: string, name = "pp") => ["inspect", "-f", format, name];
const sh = (script: string, ...flags: string[]) => ["run", "--rm", ...flags, "busybox", "sh", "-c", script];

export const containers: readonly Story[] = [
  { name: "echo", steps: [["run", "--rm", "busybox", "echo", "hello"]] },
  { name: "exit code", steps: [sh("exit 3")] },
  { name: "killed by a signal", steps: [sh("kill -TERM $$; echo alive; kill -KILL $$")] },
  { name: "both streams", steps: [sh("echo a; echo b >&2")] },
  { name: "stdin", steps: [["run", "--rm", "-i", "busybox", "wc", "-c"]], input: "12345" },
  { name: "unknown command", steps: [["run", "--rm", "busybox", "nosuch"]] },
  { name: "unknown absolute command", steps: [["run", "--rm", "busybox", "/no/such"]] },
  { name: "a command without the right to run", steps: [["run", "--rm", "busybox", "/etc/passwd"]] },
  { name: "a directory as command", steps: [["run", "--rm", "busybox", "/etc"]] },
  {
    name: "an entrypoint that is empty",
    steps: [
      ["run", "--rm", "--entrypoint", "", "busybox"],
      ["run", "--rm", "--entrypoint", "", "busybox", "echo", "x"],
    ],
  },
  { name: "missing working directory is made", steps: [sh("pwd; stat -c %u:%a .", "-w", "/a/b/c")] },
  { name: "working directory that is a file", steps: [sh("pwd", "-w", "/etc/passwd")] },
  { name: "relative working directory", steps: [sh("pwd", "-w", "rel")] },
  {
    name: "users",
    steps: [
      sh("id", "-u", "daemon"),
      sh("id", "-u", "5:6"),
      sh("id", "-u", "www-data:daemon"),
      sh("id", "-u", "nosuch"),
      sh("id", "-u", "0:nosuch"),
      sh("id", "-u", "99999999999"),
    ],
  },
  { name: "group-add", steps: [sh("id -G", "--group-add", "7", "--group-add", "daemon")] },
  {
    name: "environment",
    steps: [sh("env | grep -v HOSTNAME | sort", "-e", "A=b", "-e", "EMPTY=", "-e", "NOSUCHVARIABLE")],
  },
  {
    name: "hostname and domain",
    steps: [sh("hostname; hostname -f; cat /etc/hostname", "-h", "box", "--domainname", "example.org")],
  },
  {
    name: "capabilities",
    steps: [
      sh("grep Cap /proc/self/status"),
      sh("grep Cap /proc/self/status", "--cap-drop", "all", "--cap-add", "chown"),
      sh("true", "--cap-add", "nosuch"),
    ],
  },
  {
    name: "mounts of a container",
    steps: [
      sh(
        // What is below /proc and /sys again depends on the runtime (crun drops the flags there) and on Docker's age.
        "cut -d' ' -f2-4 /proc/mounts | grep -vE '^/ |^/etc/|^/sys/fs/cgroup|^/proc/|^/sys/' | sed 's/,inode64//; s/,size=[0-9]*k//; s/,nr_inodes=[0-9]*//' | sort",
      ),
      sh(
        "for f in /proc/sys /proc/bus /proc/irq /proc/fs; do grep \" $f \" /proc/mounts | cut -d' ' -f2-4 | cut -d, -f1; done; touch /proc/sysrq-trigger || echo refused; cat /proc/keys /proc/timer_list /proc/scsi/scsi 2>/dev/null | wc -c; ls /sys/firmware | wc -l",
      ),
    ],
  },
  {
    name: "devices",
    steps: [
      sh(
        // The sixth word is a device's minor number, else the month.
        "ls -l /dev | grep -v kcore | awk '{ if ($1 !~ /^[bc]/) $6 = \"\"; print $1, $3, $4, $5, $6, $NF }' | grep -v total",
      ),
    ],
  },
  {
    name: "limits",
    steps: [
      sh("ulimit -n; ulimit -c", "--ulimit", "nofile=100:200", "--ulimit", "core=0"),
      sh("true", "--ulimit", "nosuch=1"),
      sh("true", "--ulimit", "nofile=300:200"),
    ],
  },
  {
    name: "sysctl",
    steps: [
      sh("cat /proc/sys/net/core/somaxconn", "--sysctl", "net.core.somaxconn=77"),
      sh("true", "--sysctl", "kernel.nosuch=1"),
    ],
  },
  {
    name: "shm size",
    steps: [
      sh("df -k /dev/shm | tail -1 | awk '{print $2}'"),
      sh("df -k /dev/shm | tail -1 | awk '{print $2}'", "--shm-size", "8m"),
    ],
  },
  {
    name: "tmpfs",
    steps: [sh("stat -c %a /t; df -k /t | tail -1 | awk '{print $2}'", "--tmpfs", "/t:size=2m,mode=700")],
  },
  {
    name: "read-only",
    steps: [sh("touch /x", "--read-only"), sh("touch /etc/hosts && echo hosts", "--read-only")],
  },
  {
    name: "memory refusals",
    steps: [
      sh("true", "-m", "1m"),
      sh("true", "-m", "nonsense"),
      sh("true", "-m", "32m", "--memory-swap", "16m"),
      sh("true", "--memory-swap", "64m"),
      sh("true", "--cpus", "1000"),
      sh("true", "--cpu-shares", "-1"),
    ],
  },
  {
    name: "volume refusals",
    steps: [
      sh("true", "-v", "/"),
      sh("true", "-v", "rel:rel"),
      sh("true", "-v", "a b:/x"),
      sh("true", "-v", "/a:/b:zz"),
      sh("true", "--mount", "type=bind,src=/no/such,dst=/x"),
      sh("true", "--mount", "type=nosuch,dst=/x"),
      sh("true", "-v", "/a:/"),
      sh("true", "--tmpfs", "/x", "-v", "/y:/x"),
    ],
  },
  {
    name: "port refusals",
    steps: [
      sh("true", "-p", "70000:80"),
      sh("true", "-p", "x:80"),
      sh("true", "-p", "80:80/nosuch"),
      sh("true", "-p", "300.1.1.1:80:80"),
    ],
  },
  {
    name: "network refusals",
    steps: [
      sh("true", "--network", "nosuch"),
      sh("true", "--network", "host", "--network-alias", "x"),
      sh("true", "--network", "container:nosuch"),
      sh("true", "--network", "host", "-h", "x", "--link", "y:z"),
    ],
  },
  {
    name: "names",
    steps: [
      ["run", "-d", "--name", "pp", "busybox", "sleep", "100"],
      ["run", "--name", "pp", "busybox", "true"],
      ["create", "--name", "-bad", "busybox"],
      ["rename", "pp", "qq"],
      ["rename", "nosuch", "rr"],
      ["rename", "qq", "qq"],
      ["rm", "qq"],
      ["rm", "-f", "qq"],
      ["rm", "-v", "qq"],
    ],
  },
  {
    name: "stop, start, state",
    steps: [
      ["run", "-d", "--name", "pp", "--init", "busybox", "sleep", "100"],
      inspect(
        "{{.State.Status}} {{.State.Running}} {{.State.ExitCode}} {{.State.OOMKilled}} {{.State.Dead}}",
      ),
      // Before it has its child, a started container's init may not be the program yet that hands signals on.
      ["exec", "pp", "sh", "-c", "until grep -qs '^sleep' /proc/[0-9]*/comm; do sleep 0.05; done"],
      ["stop", "pp"],
      inspect("{{.State.Status}} {{.State.Running}} {{.State.ExitCode}} {{.State.Pid}}"),
      ["stop", "pp"],
      ["start", "pp"],
      ["start", "pp"],
      ["kill", "-s", "KILL", "pp"],
      ["wait", "pp"],
      ["kill", "pp"],
      ["kill", "-s", "NOSUCH", "pp"],
      ["rm", "pp"],
    ],
  },
  {
    name: "create and its inspect",
    steps: [
      [
        "create",
        "--name",
        "pp",
        "-e",
        "X=1",
        "-l",
        "k=v",
        "-p",
        "1234:80",
        "-v",
        "/anon",
        "--restart",
        "on-failure:3",
        "-m",
        "64m",
        "--cpus",
        "0.5",
        "--stop-signal",
        "USR1",
        "--stop-timeout",
        "7",
        "busybox",
        "top",
      ],
      inspect(
        "{{.Config.Env}} {{.Config.Labels}} {{.Config.Cmd}} {{.Config.Volumes}} {{.Config.StopSignal}} {{.Config.StopTimeout}} {{.Config.ExposedPorts}}",
      ),
      inspect(
        "{{.HostConfig.RestartPolicy}} {{.HostConfig.Memory}} {{.HostConfig.MemorySwap}} {{.HostConfig.NanoCpus}} {{.HostConfig.PortBindings}} {{.HostConfig.ShmSize}} {{.HostConfig.IpcMode}} {{.HostConfig.ReadonlyPaths}}",
      ),
      inspect("{{.HostConfig.NetworkMode}}"),
      inspect("{{.Path}} {{.Args}} {{.State.Status}} {{.RestartCount}} {{.Platform}} {{len .Mounts}}"),
      ["rm", "pp"],
    ],
  },
  {
    name: "exec",
    steps: [
      ["run", "-d", "--name", "pp", "-e", "A=1", "-w", "/tmp", "busybox", "sleep", "100"],
      ["exec", "pp", "sh", "-c", "echo $A $PWD; exit 4"],
      ["exec", "-w", "/", "-e", "B=2", "-u", "daemon", "pp", "sh", "-c", "echo $B $PWD; id -u"],
      ["exec", "pp", "nosuch"],
      ["exec", "pp", "/etc/passwd"],
      ["exec", "-u", "nosuch", "pp", "true"],
      ["exec", "nosuch", "true"],
      ["exec", "-w", "/no/such", "pp", "pwd"],
      ["kill", "pp"],
      ["wait", "pp"],
      ["exec", "pp", "true"],
      ["rm", "pp"],
    ],
  },
  {
    name: "logs",
    steps: [
      ...thrice("pp", [], ["seq 1 5", "echo e >&2", "printf tail"]),
      ["logs", "pp"],
      ["logs", "--tail", "2", "pp"],
      ["logs", "--tail", "-1", "pp"],
      ["logs", "--tail", "0", "pp"],
      ["logs", "--since", "1h", "--tail", "1", "pp"],
      ["logs", "--since", "nonsense", "pp"],
      ["logs", "nosuch"],
      ["rm", "pp"],
    ],
  },
  {
    name: "no logs",
    steps: [
      ["run", "--name", "pp", "--log-driver", "none", "busybox", "echo", "x"],
      ["logs", "pp"],
      ["rm", "pp"],
      ["run", "--rm", "--log-opt", "nosuch=1", "busybox", "true"],
    ],
  },
  {
    name: "wait and rm of nothing",
    steps: [
      ["wait", "nosuch"],
      ["rm", "nosuch"],
      ["start", "nosuch"],
      ["stop", "nosuch"],
      ["inspect", "nosuch"],
      ["top", "nosuch"],
      ["pause", "nosuch"],
    ],
  },
  {
    name: "pause",
    steps: [
      ["run", "-d", "--name", "pp", "busybox", "sleep", "100"],
      ["pause", "pp"],
      inspect("{{.State.Status}} {{.State.Paused}}"),
      ["pause", "pp"],
      ["exec", "pp", "true"],
      ["unpause", "pp"],
      ["unpause", "pp"],
      ["rm", "-f", "pp"],
    ],
  },
  {
    name: "images",
    steps: [
      ["tag", "busybox", "x/y:z"],
      ["images", "--format", "{{.Repository}}:{{.Tag}}", "x/y"],
      ["rmi", "x/y:z"],
      ["rmi", "x/y:z"],
      ["tag", "nosuch", "a"],
      ["tag", "busybox", "BAD"],
      [
        "inspect",
        "--type",
        "image",
        "-f",
        "{{.Os}} {{.Config.Cmd}} {{.RootFS.Type}} {{len .RootFS.Layers}}",
        "busybox",
      ],
    ],
  },
  {
    name: "rmi of an image in use",
    steps: [
      ["create", "--name", "pp", "busybox"],
      ["rmi", "busybox"],
      ["rm", "pp"],
    ],
  },
  {
    name: "volumes",
    steps: [
      ["volume", "create", "vol"],
      ["volume", "create", "vol"],
      ["volume", "inspect", "-f", "{{.Name}} {{.Driver}} {{.Scope}}", "vol"],
      ["create", "--name", "pp", "-v", "vol:/d", "busybox"],
      ["volume", "rm", "vol"],
      ["rm", "pp"],
      ["volume", "rm", "vol"],
      ["volume", "rm", "vol"],
      ["volume", "create", "a/b"],
    ],
  },
  {
    name: "networks",
    steps: [
      ["network", "create", "--subnet", "10.204.0.0/24", "net"],
      ["network", "create", "net"],
      ["network", "inspect", "-f", "{{.Name}} {{.Driver}} {{.Scope}} {{.Internal}} {{.IPAM.Config}}", "net"],
      [
        "run",
        "--rm",
        "--network",
        "net",
        "--ip",
        "10.204.0.9",
        "busybox",
        "sh",
        "-c",
        "ip -4 -o addr show eth0 | awk '{print $4}'; ip route",
      ],
      ["run", "--rm", "--ip", "10.204.0.9", "busybox", "true"],
      ["run", "--rm", "--network", "net", "--ip", "10.9.9.9", "busybox", "true"],
      ["network", "rm", "net"],
      ["network", "rm", "net"],
      ["network", "rm", "host"],
      ["network", "create", "--subnet", "nonsense", "nn"],
      ["network", "create", "--subnet", "10.1.0.0/16", "--gateway", "10.2.0.1", "nn"],
    ],
  },
  {
    name: "pid, ipc and network of another container",
    steps: [
      ["run", "-d", "--name", "pp", "--ipc", "shareable", "busybox", "sleep", "100"],
      // A started container's init becomes the program a moment later.
      ["exec", "pp", "sh", "-c", "until grep -q sleep /proc/1/comm; do sleep 0.05; done"],
      sh("ps -o comm | grep -cx sleep", "--pid", "container:pp"),
      sh("hostname | wc -c", "--network", "container:pp"),
      sh("true", "--ipc", "container:pp"),
      sh("true", "--ipc", "nosuch"),
      sh("true", "--pid", "nosuch"),
      ["rm", "-f", "pp"],
    ],
  },
  {
    name: "terminal",
    steps: [
      ["run", "--rm", "-t", "busybox", "tty"],
      ["run", "--rm", "-t", "busybox", "sh", "-c", "echo x; echo y >&2"],
    ],
  },
  {
    name: "restart policy refusals",
    steps: [
      ["create", "--restart", "nosuch", "busybox"],
      ["create", "--restart", "always:3", "busybox"],
      ["run", "--rm", "--restart", "always", "busybox"],
    ],
  },
  {
    name: "top",
    steps: [
      ["run", "-d", "--name", "pp", "busybox", "sleep", "100"],
      // A started container's init becomes the program a moment later.
      ["exec", "pp", "sh", "-c", "until grep -q sleep /proc/1/comm; do sleep 0.05; done"],
      ["top", "pp", "-o", "comm"],
      ["top", "pp", "-o", "nosuch"],
      ["rm", "-f", "pp"],
      ["create", "--name", "pp", "busybox"],
      ["top", "pp"],
      ["rm", "pp"],
    ],
  },
];
