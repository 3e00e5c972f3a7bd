# Builds on cgroup v2 under systemd, and for a platform that only an emulator runs. A part of inside.sh, which has the daemon and the words.
mkdir -p /root/context
cd /root/context
echo quiet-secret >/root/secret
build() { BUILDKIT_PROGRESS=plain $tug build "$@" /root/context 2>&1; }
# What of a step's output stands behind a word of ours.
said() { sed -n "s/.* $1: //p" | sort -u | tr '\n' ' ' | sed 's/ $//'; }
chosen() { [ "$($tug info --format '{{.DefaultRuntime}}')" = "$1" ]; }
steps() { find /sys/fs/cgroup -type d -path '*-build-*.scope/*' ! -name monitor; }
sleeping() { pgrep -f 'sleep 424[2]'; }
cables() { ip -o link | grep -c ' veth'; }
cables=$(cables)
nothing() { [ -z "$("$@")" ]; }
cat >Dockerfile <<'X'
FROM busybox AS one
RUN --mount=type=cache,target=/both --mount=type=secret,id=key --mount=type=tmpfs,target=/t --network=none \
  touch /both/one /t/x && until [ -e /both/two ]; do sleep 0.1; done; \
  echo "none: $(cat /run/secrets/key | wc -c) $(ls /sys/class/net | wc -l) $(cat /proc/self/cgroup)" && echo 1 >/one
FROM busybox AS two
RUN --mount=type=cache,target=/both touch /both/two && until [ -e /both/one ]; do sleep 0.1; done; \
  echo "net: $(ip addr show eth0 | grep -c 'inet 172') $(cat /sys/fs/cgroup/memory.max /sys/fs/cgroup/pids.max | tr '\n' ' ')$(cat /proc/self/attr/current)" && echo 2 >/two
FROM busybox
COPY --from=one /one /
COPY --from=two /two /
RUN --network=host echo "host: $(ls /sys/class/net | grep -c tug0)"
RUN --security=insecure mount -t tmpfs x /tmp && echo "insecure: $(cat /proc/self/attr/current)"
X
out=$(build --secret id=key,src=/root/secret --allow network.host --allow security.insecure)
check "steps of two stages run side by side, with a secret, a cache and a tmpfs, without network" "13 1 0::/" "$(echo "$out" | said none)"
check "a step has the default network, no limit but of processes, and AppArmor's profile" "1 max 16384 tug-default (enforce)" "$(echo "$out" | said net)"
check "one has the host's network, one all rights" "1 unconfined" "$(echo "$out" | said host) $(echo "$out" | said insecure)"
await nothing steps
check "no cgroup of a step is left" "" "$(steps)"
printf 'FROM busybox\nRUN (tail /dev/zero); exit 3\n' >Dockerfile
for runtime in crun runc; do
  killed='process "/bin/sh -c (tail /dev/zero); exit 3" did not complete successfully: cannot allocate memory'
  chosen $runtime || { mkdir -p /etc/tug && echo '{"default-runtime":"runc"}' >/etc/tug/daemon.json && kill -HUP $daemon && await chosen runc; }
  check "a step that lacked memory says so ($runtime)" 1 "$(build -m 16m --memory-swap 16m | grep -c "ERROR: failed to build.*$killed")"
done
rm /etc/tug/daemon.json
# From here on runc does the work.
if command -v docker >/dev/null; then
  printf 'FROM busybox\nRUN echo "limits: $(ulimit -n) $(df -m /dev/shm | tail -1 | tr -s " " | cut -d" " -f2) $(cd /sys/fs/cgroup && cat memory.max memory.swap.max cpu.max cpu.weight cpuset.cpus | tr "\\n" " ")"\n' >Dockerfile
  check "limits of the classic API" "300 3 67108864 33554432 50000 100000 79 0" \
    "$(DOCKER_BUILDKIT=0 $docker build --ulimit nofile=300:400 --shm-size 3m -m 64m --memory-swap 96m --cpu-period 100000 --cpu-quota 50000 --cpu-shares 2048 --cpuset-cpus 0 . 2>/dev/null | sed -n 's/^limits: //p' | sed 's/ $//')"
else
  echo "skipped: limits of the classic API: the docker CLI is not installed"
fi
asleep() { [ "$(sleeping | wc -l)" = 2 ]; }
at_end() { [ -z "$(sleeping)$(steps)" ]; }
# A step that sleeps twice, in the background; says so when it does not.
sleeper() {
  printf 'FROM busybox\nRUN --mount=type=cache,target=/c echo up; (sleep 4242) & sleep 4242\n' >/root/context/Dockerfile
  : >/root/build.log
  build "$@" >/root/build.log &
  client=$!
  await grep -q ' up$' /root/build.log && await asleep || echo "FAIL a step that sleeps: $(cat /root/build.log)"
}
sleeper --cgroup-parent team-b.slice
check "a step's cgroup lies below the slice that was asked for" "1 2" "$(find /sys/fs/cgroup/team.slice/team-b.slice/tug-build-*.scope -name container | wc -l) $(sleeping | wc -l)"
pkill -INT -P $client 2>/dev/null || kill -INT $client
wait $client
check "a cancelled build says so" 130 $?
await at_end
check "and leaves no process and no cgroup" "" "$(sleeping)$(steps)"
scopes() { systemctl list-units --all --plain --no-legend 'tug-build*'; }
# Both wait some seconds for another step.
at_rest() { [ -z "$(scopes)" ] && [ "$(cables)" = "$cables" ]; }

# A machine of another kind, emulated by what Debian's qemu-user-static has, in the words of its /usr/lib/binfmt.d.
if [ -e /root/qemu-aarch64 ] && modprobe binfmt_misc; then
  cp /bin/busybox busybox-amd64
  mv /root/busybox-arm64 .
  chmod +x busybox-*
  printf 'FROM scratch\nARG TARGETARCH\nCOPY busybox-$TARGETARCH /bin/busybox\nRUN ["/bin/busybox", "sh", "-c", "uname -m >/machine"]\nCMD ["/bin/busybox", "sh", "-c", "/bin/busybox uname -m; /bin/busybox cat /machine"]\n' >Dockerfile
  platforms() { $tug buildx inspect | sed -n 's/^ *Platforms: *//p'; }
  check "and a step says which one it lacks" 1 \
    "$(build --platform linux/arm64 | grep -c 'ERROR: failed to build.*its programs are linux/arm64, this machine is linux/amd64 and has no emulator for them: install')"
  mount -t binfmt_misc none /proc/sys/fs/binfmt_misc 2>/dev/null
  elf='\x7fELF\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\xb7\x00' mask='\xff\xff\xff\xff\xff\xff\xff\x00\xff\xff\xff\xff\xff\xff\xff\xff\xfe\xff\xff\xff'
  printf '%s' ":qemu-aarch64:M::$elf:$mask:/root/qemu-aarch64:OF" >/proc/sys/fs/binfmt_misc/register
  check "an emulator that was registered a moment ago counts" "linux/amd64, linux/arm64, linux/386" "$(platforms)"
  build -q --platform linux/amd64,linux/arm64 -t machine >/root/build.log || echo "FAIL a build for two platforms: $(tail -5 /root/build.log)"
  check "an index of two platforms" "amd64 arm64" \
    "$($tug save machine | tar xO --wildcards 'blobs/sha256/*' 2>/dev/null | grep -ao '"architecture":"[a-z0-9]*"' | cut -d'"' -f4 | sort -u | tr '\n' ' ' | sed 's/ $//')"
  check "whose images run, and whose steps ran, on each" "x86_64 x86_64 aarch64 aarch64" \
    "$(for platform in amd64 arm64; do $tug run --rm --network none --platform linux/$platform machine; done | tr '\n' ' ' | sed 's/ $//')"
  echo -1 >/proc/sys/fs/binfmt_misc/qemu-aarch64
else
  echo "skipped: builds for another platform: no emulator was brought along, or this kernel has no binfmt_misc"
fi
await at_rest
check "scopes of builds end when nothing is built" "" "$(scopes)"
check "no mount and no network of a step is left" "0 $cables" "$(grep -c /run/tug/build /proc/mounts) $(cables)"
cd /root
