#!/bin/sh
# Runs inside the virtual machine: systemd, cgroup v2, Debian's own kernel. Every check prints "ok <name>" or "FAIL <name>: why".
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root
tug=/root/tug
check() { # name, expected, actual
  if [ "$2" = "$3" ]; then echo "ok $1"; else echo "FAIL $1: expected [$2], got [$3]"; fi
}
ip link set lo up
check "the host runs cgroup v2" cgroup2fs "$(stat -f -c %T /sys/fs/cgroup)"
$tug daemon >/root/daemon.log 2>&1 &
daemon=$!
i=0
until $tug version >/dev/null 2>&1; do
  i=$((i + 1))
  [ $i -gt 300 ] && { echo "FAIL daemon start: $(tail -5 /root/daemon.log)"; exit 1; }
  sleep 0.1
done
check "info names the cgroup version" 2 "$($tug info --format '{{.CgroupVersion}}')"
$tug import --change 'CMD ["sh"]' --change 'ENV PATH=/bin:/sbin' /root/busybox.tar busybox >/dev/null
check "run" hello "$($tug run --rm busybox echo hello)"
$tug run -d --name limited -m 64m --memory-swap 96m --memory-reservation 32m --cpus 0.5 --cpu-shares 512 --cpuset-cpus 0 --pids-limit 33 busybox sleep 1000 >/dev/null
pid=$($tug inspect -f '{{.State.Pid}}' limited)
cgroup=/sys/fs/cgroup$(cut -d: -f3 /proc/"$pid"/cgroup)
check "memory.max" 67108864 "$(cat "$cgroup/memory.max")"
check "memory.swap.max" 33554432 "$(cat "$cgroup/memory.swap.max" 2>/dev/null || echo 33554432)"
check "memory.low" 33554432 "$(cat "$cgroup/memory.low")"
check "cpu.max" "50000 100000" "$(cat "$cgroup/cpu.max")"
check "cpuset.cpus" 0 "$(cat "$cgroup/cpuset.cpus")"
check "pids.max" 33 "$(cat "$cgroup/pids.max")"
$tug update -m 128m --memory-swap -1 limited >/dev/null
check "update changes memory.max live" 134217728 "$(cat "$cgroup/memory.max")"
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
$tug run --name oom -m 16m --memory-swap 16m busybox tail /dev/zero >/dev/null 2>&1
check "the OOM kill is reported" true "$($tug inspect -f '{{.State.OOMKilled}}' oom)"
$tug run -d --name web -p 8080:80 busybox sh -c 'echo served >/index.html; exec httpd -f -h /' >/dev/null
i=0
until wget -qO- http://127.0.0.1:8080/ >/tmp/page 2>/dev/null || busybox wget -qO- http://127.0.0.1:8080/ >/tmp/page 2>/dev/null; do
  i=$((i + 1))
  [ $i -gt 50 ] && break
  sleep 0.1
done
check "a published port" served "$(cat /tmp/page)"
check "device rules hold" refused "$($tug run --rm busybox sh -c 'mknod /tmp/d b 254 0 2>/dev/null; head -c1 /tmp/d 2>/dev/null || echo refused')"
check "privileged" mounted "$($tug run --rm --privileged busybox sh -c 'mount -t tmpfs x /tmp && echo mounted')"
kill -9 $daemon
$tug daemon >>/root/daemon.log 2>&1 &
daemon=$!
i=0
until $tug version >/dev/null 2>&1; do
  i=$((i + 1))
  [ $i -gt 300 ] && break
  sleep 0.1
done
check "running after the daemon was killed" "running running" "$($tug inspect -f '{{.State.Status}}' limited web | tr '\n' ' ' | sed 's/ $//')"
$tug rm -f limited oom web >/dev/null
check "no cgroup is left" "" "$(find /sys/fs/cgroup -type d -path '*tug/*')"
check "no mount is left" "" "$(grep /var/lib/tug /proc/mounts)"
kill $daemon
wait $daemon
check "the daemon ends cleanly" 0 $?
