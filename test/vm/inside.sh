#!/bin/sh
# Runs inside the virtual machine: systemd, cgroup v2, Debian's own kernel. Every check prints "ok <name>" or "FAIL <name>: why".
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root
tug=/root/tug
check() { # name, expected, actual
  if [ "$2" = "$3" ]; then echo "ok $1"; else echo "FAIL $1: expected [$2], got [$3]"; fi
}
# Waits until a command succeeds, for at most half a minute.
await() {
  i=0
  until "$@" >/dev/null 2>&1; do
    i=$((i + 1))
    [ $i -gt 300 ] && return 1
    sleep 0.1
  done
}
# Lines of a container's log, and whether there are more than so many.
count() { $tug logs "$1" | wc -l; }
counts_past() { [ "$(count "$1")" -gt "$2" ]; }
ip link set lo up
# The console is ours: no message of the kernel may come between.
dmesg -n 1
check "the host runs cgroup v2" cgroup2fs "$(stat -f -c %T /sys/fs/cgroup)"
$tug daemon --experimental >/root/daemon.log 2>&1 &
daemon=$!
await $tug version || { echo "FAIL daemon start: $(tail -5 /root/daemon.log)"; exit 1; }
check "info names cgroup version and driver" "2 systemd" "$($tug info --format '{{.CgroupVersion}} {{.CgroupDriver}}')"
$tug import --change 'CMD ["sh"]' --change 'ENV PATH=/bin:/sbin' /root/busybox.tar busybox >/dev/null
check "run" hello "$($tug run --rm busybox echo hello)"
# systemd's default for scopes would otherwise hold for containers without a limit.
unlimited='cat /sys/fs/cgroup/memory.max /sys/fs/cgroup/pids.max; grep -c . /proc/1/cgroup'
for runtime in crun runc; do
  check "no limit is no limit ($runtime)" "max max 1" "$($tug run --rm --network none --runtime $runtime busybox sh -c "$unlimited" | tr '\n' ' ' | sed 's/ $//')"
done
device=$(awk '$2 == "/" { print $1 }' /proc/mounts | tail -1)
check "throttles of a device, and AppArmor's default by Docker's name" "rbps=1048576 wbps=2097152 riops=100 wiops=200 tug-default (enforce)" \
  "$($tug run --rm --network none --security-opt apparmor=docker-default --device-read-bps "$device:1mb" --device-write-bps "$device:2mb" --device-read-iops "$device:100" --device-write-iops "$device:200" busybox sh -c 'cut -d" " -f2- /sys/fs/cgroup/io.max; cat /proc/self/attr/current' | tr '\n' ' ' | sed 's/ $//')"
check "a slice of one's own, and no AppArmor profile" "/team.slice/team-a.slice unconfined" \
  "$($tug run --rm --network none --security-opt apparmor=unconfined --cgroupns host --cgroup-parent team-a.slice busybox cat /proc/self/cgroup /proc/self/attr/current | sed 's/^0:://; s,/tug-.*,,' | tr '\n' ' ' | sed 's/ $//')"
$tug run -d --name limited -m 64m --memory-swap 96m --memory-reservation 32m --cpus 0.5 --cpu-shares 512 --cpuset-cpus 0 --pids-limit 33 busybox sleep 1000 >/dev/null
pid=$($tug inspect -f '{{.State.Pid}}' limited)
cgroup=/sys/fs/cgroup$(cut -d: -f3 /proc/"$pid"/cgroup)
check "memory.max" 67108864 "$(cat "$cgroup/memory.max")"
check "memory.swap.max" 33554432 "$(cat "$cgroup/memory.swap.max" 2>/dev/null || echo 33554432)"
check "memory.low" 33554432 "$(cat "$cgroup/memory.low")"
check "cpu.max" "50000 100000" "$(cat "$cgroup/cpu.max")"
check "cpuset.cpus" 0 "$(cat "$cgroup/cpuset.cpus")"
check "pids.max" 33 "$(cat "$cgroup/pids.max")"
check "a slice and a scope of its own" "/system.slice/tug-$($tug inspect -f '{{.Id}}' limited).scope" "$(dirname "${cgroup#/sys/fs/cgroup}")"
$tug update -m 128m --memory-swap 256m --memory-reservation 48m --cpus 0.25 --cpu-shares 2048 --cpuset-cpus 0-1 --pids-limit 44 --blkio-weight 500 limited >/dev/null
systemctl daemon-reload
check "update changes limits live, and systemd leaves them" "134217728 134217728 50331648 25000 100000 79 0-1 44 default 4950" \
  "$(cd "$cgroup" && cat memory.max memory.swap.max memory.low cpu.max cpu.weight cpuset.cpus pids.max io.weight | tr '\n' ' ' | sed 's/ $//')"
$tug update --memory-swap -1 --pids-limit -1 limited >/dev/null
check "update takes limits away" "max max" "$(cd "$cgroup" && cat memory.swap.max pids.max | tr '\n' ' ' | sed 's/ $//')"
$tug pause limited >/dev/null
check "pause freezes" 1 "$(cat "$cgroup/cgroup.freeze")"
$tug unpause limited >/dev/null
check "unpause thaws" 0 "$(cat "$cgroup/cgroup.freeze")"
check "exec" inside "$($tug exec limited echo inside)"
check "private cgroup namespace" "0::/" "$($tug exec limited cat /proc/self/cgroup)"
case "$($tug stats --no-stream --format '{{.MemUsage}} {{.PIDs}}' limited)" in
*"/ 128MiB 1") echo "ok stats" ;;
*) echo "FAIL stats: $($tug stats --no-stream limited)" ;;
esac
since=$(date +%s)
for runtime in crun runc; do
  $tug run --name "oom-$runtime" --runtime $runtime --network none -m 16m --memory-swap 16m busybox tail /dev/zero >/dev/null 2>&1
  check "the OOM kill is reported ($runtime)" "true 137" "$($tug inspect -f '{{.State.OOMKilled}} {{.State.ExitCode}}' "oom-$runtime")"
  $tug run --name "gone-$runtime" --runtime $runtime --network none -m 16m --memory-swap 16m busybox sh -c 'tail /dev/zero; exit 3' >/dev/null 2>&1
  check "and that of a child just before the end ($runtime)" "true 3" "$($tug inspect -f '{{.State.OOMKilled}} {{.State.ExitCode}}' "gone-$runtime")"
  $tug run -d --name "child-$runtime" --runtime $runtime --network none -m 16m --memory-swap 16m busybox sh -c 'tail /dev/zero; exec sleep 1000' >/dev/null
  oom_seen() { [ "$($tug inspect -f '{{.State.OOMKilled}} {{.State.Running}}' "child-$runtime")" = "true true" ]; }
  await oom_seen
  check "an OOM kill of a child is reported ($runtime)" "true true" "$($tug inspect -f '{{.State.OOMKilled}} {{.State.Running}}' "child-$runtime")"
done
$tug run -d --name again --restart on-failure:2 --network none -m 16m --memory-swap 16m busybox tail /dev/zero >/dev/null
restarted() { [ "$($tug inspect -f '{{.RestartCount}} {{.State.Status}}' again)" = "2 exited" ]; }
await restarted
check "a restart policy begins the scope anew, and each OOM kill is reported" "2 true 137" "$($tug inspect -f '{{.RestartCount}} {{.State.OOMKilled}} {{.State.ExitCode}}' again)"
$tug rm again >/dev/null
check "and announced, each once" 9 "$($tug events --since "$since" --until 0s --filter event=oom | wc -l)"
profile() { $tug run --rm --network none "$@" busybox cat /proc/self/attr/current; }
check "AppArmor: the default profile" "tug-default (enforce)" "$($tug exec limited cat /proc/self/attr/current)"
printf 'profile tug-test flags=(attach_disconnected) {\n file,\n deny /etc/hostname r,\n}\n' | apparmor_parser --replace --skip-cache
check "AppArmor: a profile of one's own" "refused tug-test" \
  "$($tug run --rm --network none --security-opt apparmor=tug-test busybox sh -c 'cat /etc/hostname 2>/dev/null || echo refused; cut -d" " -f1 /proc/self/attr/current' | tr '\n' ' ' | sed 's/ $//')"
check "AppArmor: a profile that is not loaded" 125 "$(profile --security-opt apparmor=nosuch >/dev/null 2>&1; echo $?)"
check "AppArmor: inspect names it" tug-default "$($tug inspect -f '{{.AppArmorProfile}}' limited)"
apparmor_parser --remove --skip-cache <<EOF
profile tug-default {}
EOF
check "AppArmor: a profile that was unloaded is loaded again" "tug-default (enforce)" "$(profile)"
$tug run -d --name web -p 8080:80 busybox sh -c 'echo served >/index.html; exec httpd -f -h /' >/dev/null
await busybox wget -qO /tmp/page http://127.0.0.1:8080/
check "a published port" served "$(cat /tmp/page)"
check "device rules hold" refused "$($tug run --rm busybox sh -c 'mknod /tmp/d b 254 0 2>/dev/null; head -c1 /tmp/d 2>/dev/null || echo refused')"
check "privileged" "mounted unconfined" "$($tug run --rm --privileged busybox sh -c 'mount -t tmpfs x /tmp && echo mounted; cat /proc/self/attr/current' | tr '\n' ' ' | sed 's/ $//')"
counter='i=0; while :; do i=$((i+1)); echo $i; sleep 0.1; done'
$tug run -d --name counter --runtime runc -p 8081:81 busybox sh -c "$counter" >/dev/null
await counts_past counter 3
$tug checkpoint create --leave-running counter kept >/dev/null
check "a checkpoint that leaves it running" "true kept" "$($tug inspect -f '{{.State.Running}}' counter) $($tug checkpoint ls counter | tail -n +2)"
$tug checkpoint create counter ended >/dev/null
before=$(count counter)
check "a checkpoint that ends it" false "$($tug inspect -f '{{.State.Running}}' counter)"
$tug start --checkpoint ended counter >/dev/null
await counts_past counter $((before + 2))
check "it goes on where it was" "" "$($tug logs counter | awk '$1 != NR { print NR ": " $0; exit }')"
check "its port and network are there again" "0.0.0.0:8081 1" "$($tug port counter 81 | head -1) $($tug exec counter ip addr show eth0 | grep -c 'inet 172')"
: >"$(ls /var/lib/tug/containers/*/checkpoints/kept/core-1.img)"
$tug create --name torn --runtime runc busybox sh -c "$counter" >/dev/null
check "a torn checkpoint is told of, with CRIU's reason" 1 "$($tug start --checkpoint kept --checkpoint-dir "$(dirname /var/lib/tug/containers/*/checkpoints/kept)" torn 2>&1 | grep -c 'Cannot restore container .*: criu: .')"
check "and its container can still be started" true "$($tug start torn >/dev/null && $tug inspect -f '{{.State.Running}}' torn)"
$tug checkpoint rm counter kept && $tug checkpoint rm counter ended
check "checkpoints are removed" "" "$($tug checkpoint ls counter | tail -n +2)"
if command -v docker >/dev/null; then
  docker="docker -H unix:///run/tug/tug.sock"
  $docker checkpoint create --checkpoint-dir /root/checkpoints counter moved >/dev/null
  check "the docker CLI's checkpoint in a directory of one's own" "moved false" "$(ls /root/checkpoints) $($tug inspect -f '{{.State.Running}}' counter)"
  before=$(count counter)
  $docker start --checkpoint moved --checkpoint-dir /root/checkpoints counter >/dev/null
  await counts_past counter $((before + 2))
  check "and its start" "" "$($tug logs counter | awk '$1 != NR { print NR ": " $0; exit }')"
else
  echo "skipped: checkpoints through the docker CLI, which is not installed"
fi
check "a runtime without CRIU says so" 1 "$($tug checkpoint create limited one 2>&1 | grep -c 'built without CRIU.*--runtime runc')"
$tug rm -f counter torn child-crun child-runc >/dev/null
for runtime in crun runc; do
  $tug run -d --name "away-$runtime" --runtime $runtime --network none -m 16m --memory-swap 16m busybox sh -c 'until [ -e /go ]; do sleep 0.1; done; exec tail /dev/zero' >/dev/null
done
. /root/builds.sh
sleeper
pids=$($tug inspect -f '{{.State.Pid}}' away-crun away-runc)
kill -9 $daemon
wait $daemon 2>/dev/null
for pid in $pids; do touch "/proc/$pid/root/go"; done
ended() { for pid in $pids; do [ ! -e "/proc/$pid" ] || return 1; done; }
await ended
$tug daemon >>/root/daemon.log 2>&1 &
daemon=$!
await $tug version
await nothing scopes
check "a step of a build ends with the daemon that was killed" "" "$(sleeping)$(steps)$(scopes)"
check "running after the daemon was killed" "running running" "$($tug inspect -f '{{.State.Status}}' limited web | tr '\n' ' ' | sed 's/ $//')"
check "an OOM kill that no daemon saw is reported" "true 137 true 137" "$($tug inspect -f '{{.State.OOMKilled}} {{.State.ExitCode}}' away-crun away-runc | tr '\n' ' ' | sed 's/ $//')"
$tug rm -f limited web oom-crun oom-runc gone-crun gone-runc away-crun away-runc >/dev/null
# systemd hears of the end of a scope's last process a moment later.
cgroups() { find /sys/fs/cgroup -type d -path '*tug*'; }
units() { systemctl list-units --all --plain --no-legend 'tug*'; }
await nothing cgroups
check "no cgroup is left" "" "$(cgroups)"
await nothing units
check "no unit is left" "" "$(units)"
check "no mount is left" "" "$(grep '/var/lib/tug\|/run/tug/build' /proc/mounts)"
kill $daemon
wait $daemon
check "the daemon ends cleanly" 0 $?
