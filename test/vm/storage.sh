#!/bin/sh
# Sizes of containers' layers by project quotas, for which Debian's kernel has what other test machines' kernels lack. It prints lines as
# inside.sh does.
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root
check() { # name, expected, actual
  if [ "$2" = "$3" ]; then echo "ok $1"; else echo "FAIL $1: expected [$2], got [$3]"; fi
}
tug=/root/tug
export TUG_HOST=unix:///root/storage.sock
daemon=
start() { # flags of the daemon
  $tug daemon -H $TUG_HOST --data-root /mnt/disk/tug --exec-root /run/tug-storage --pidfile /run/tug-storage.pid --bridge none "$@" >/root/storage.log 2>&1 &
  daemon=$!
  i=0
  until $tug version >/dev/null 2>&1; do
    i=$((i + 1))
    [ $i -gt 300 ] && { echo "FAIL daemon start $*: $(tail -3 /root/storage.log)"; return 1; }
    sleep 0.1
  done
}
stop() { kill $daemon && wait $daemon; }
disk() { # type, mkfs options, mount option
  truncate -s 512M /root/disk.img
  mkdir -p /mnt/disk
  mkfs."$1" -q $2 /root/disk.img && mount -t "$1" -o "loop,$3" /root/disk.img /mnt/disk || echo "FAIL making $1"
}
# A monitor whose container has ended holds its files for a moment yet.
undisk() {
  i=0
  until umount /mnt/disk 2>/root/umount.log; do
    i=$((i + 1))
    [ $i -gt 300 ] && { echo "FAIL $(cat /root/umount.log)"; break; }
    sleep 0.1
  done
  rm -f /root/disk.img
}
run() { $tug run --network none "$@"; }
# df in the container in MiB, then what a write of 48 MiB says, then how much of it is there.
story='df -m / | awk "NR == 2 { print \$2 }"; dd if=/dev/zero of=/big bs=1M count=48 2>&1 | grep -o "No space left\|quota exceeded"; du -m /big | cut -f1'
busybox() { $tug import --change 'CMD ["sh"]' --change 'ENV PATH=/bin:/sbin' /root/busybox.tar busybox >/dev/null; }
project() { lsattr -pd "/mnt/disk/tug/$1"/* | awk '$1 != 0 { print $1 }' | sort -n | tr '\n' ' '; }

for kind in "xfs||pquota" "ext4|-F -O project,quota -E quotatype=prjquota|prjquota"; do
  type=${kind%%|*} rest=${kind#*|}
  for driver in overlay2 vfs; do
    disk "$type" "${rest%%|*}" "${rest#*|}"
    start -s $driver || { undisk; continue; }
    busybox
    check "$type, $driver: df shows the size, a write past it fails" "20 refused" \
      "$(run --rm --storage-opt size=20m busybox sh -c "$story" | sed 's/No space left\|quota exceeded/refused/' | sed -n 1,2p | tr '\n' ' ' | sed 's/ $//')"
    check "$type, $driver: without one there is none" 48 "$(run --rm busybox sh -c "$story" | tail -1)"
    [ $driver = vfs ] && { stop; undisk; continue; }
    run --name one --storage-opt size=20m busybox true
    run --name two --storage-opt size=30m busybox true
    first=$(project $driver)
    check "$type: each has a project of its own" 2 "$(echo $first | wc -w)"
    $tug rm one >/dev/null
    run --name three --storage-opt size=30m busybox true
    check "$type: the id of a removed one is used again" "$first" "$(project $driver)"
    kill -9 $daemon
    wait $daemon 2>/dev/null
    start -s $driver --storage-opt overlay2.size=25m
    $tug start two >/dev/null
    $tug rm -f two three >/dev/null
    check "$type: no project is left, also after the daemon was killed" "" "$(project $driver)"
    check "$type: overlay2.size is the default" "25 40" \
      "$(run --rm busybox sh -c "$story" | sed -n 1p) $(run --rm --storage-opt size=40m busybox sh -c "$story" | sed -n 1p)"
    stop
    undisk
  done
done
disk xfs "" defaults
start -s overlay2
busybox
check "xfs without pquota: Docker's words" 1 \
  "$(run --rm --storage-opt size=20m busybox true 2>&1 | grep -c "storage-opt is supported only for overlay over xfs with 'pquota' mount option")"
stop
undisk

# Layers that are file systems of their own, in a pool of the host's.
pool_story() { # driver, flags of the daemon
  driver=$1
  shift
  start -s "$driver" "$@" || return
  busybox
  check "$driver: info names it" "$driver" "$($tug info --format '{{.Driver}}')"
  run --name fill busybox sh -c 'mkdir -p /var/www/sub && echo old >/var/www/o && rm /bin/vi'
  $tug commit fill filled >/dev/null
  $tug rm fill >/dev/null
  run -d --name box filled sh -c 'rm -r /var/www; mkdir /var/www && echo new >/var/www/n; mknod /null c 1 3; sleep 1000' >/dev/null
  i=0
  until $tug exec box test -e /null; do i=$((i + 1)) && [ $i -gt 100 ] && break; sleep 0.1; done
  check "$driver: diff tells what the container changed" "A /null A /var/www/n C /var/www D /var/www/o D /var/www/sub" \
    "$($tug diff box | sed 's/ *$//' | grep -v '^C /var$' | sort | tr '\n' ' ' | sed 's/ $//')"
  kill -9 $daemon
  wait $daemon 2>/dev/null
  start -s "$driver" "$@" || return
  check "$driver: a container lives on without the daemon" new "$($tug exec box cat /var/www/n)"
  $tug stop -t 0 box >/dev/null
  check "$driver: stopped, its files are copied and exported" "new 1" \
    "$($tug cp box:/var/www/n - | tar xO) $($tug export box | tar t | grep -c '^var/www/n$')"
  $tug commit box kept >/dev/null
  check "$driver: what it committed runs" new "$(run --rm kept cat /var/www/n)"
  check "$driver: df shows the size, a write past it fails" refused \
    "$(run --rm --storage-opt size=96m filled sh -c 'dd if=/dev/zero of=/big bs=1M count=150 2>&1 | grep -o "No space left\|quota exceeded"' | sed 's/No space left\|quota exceeded/refused/')"
  # After a boot no device is active and nothing is mounted.
  stop
  grep -o "/mnt/disk/tug/$driver/[^ ]*" /proc/mounts | xargs -r umount
  start -s "$driver" "$@" || return
  check "$driver: after a boot everything is there" new "$($tug cp box:/var/www/n - | tar xO)"
  $tug start box >/dev/null
  check "$driver: and runs" true "$($tug inspect -f '{{.State.Running}}' box)"
  $tug rm -f box >/dev/null
  $tug rmi kept filled busybox >/dev/null
  check "$driver: no layer is left" "" "$(ls "/mnt/disk/tug/$driver")$(grep "/mnt/disk/tug/$driver/" /proc/mounts)"
  stop
}

# Mapped ids: each layer is a mount of its own. Who works in a container's user namespace gets to the program as its root does.
chmod o+x /root
remap_story() { # driver, flags of the daemon
  driver=$1
  shift
  start -s "$driver" --userns-remap=default "$@" || return
  busybox
  base=$(sed -n 's/^dockremap:\([0-9]*\):.*/\1/p' /etc/subuid)
  run -d --name mapped busybox sh -c 'id -u; touch /own; touch /other && chown 33:34 /other; echo ready; exec sleep 1000' >/dev/null
  i=0
  until [ "$($tug logs mapped 2>/dev/null | tail -1)" = ready ]; do i=$((i + 1)) && [ $i -gt 100 ] && break; sleep 0.1; done
  check "$driver, mapped: root there is somebody else here" "0 $base" \
    "$($tug logs mapped | head -1) $(stat -c %u "/proc/$($tug inspect -f '{{.State.Pid}}' mapped)")"
  check "$driver, mapped: on the disk are the ids that it sees" "0:0 33:34" \
    "$(stat -c %u:%g /mnt/disk/tug/"$driver"/*/tree/own /mnt/disk/tug/"$driver"/*/tree/other | tr '\n' ' ' | sed 's/ $//')"
  check "$driver, mapped: what is copied into it running is its own" 0 \
    "$(echo x >/root/in && $tug cp -q /root/in mapped:/in && $tug exec mapped stat -c %u /in)"
  $tug stop -t 0 mapped >/dev/null
  $tug commit mapped kept >/dev/null
  check "$driver, mapped: what it committed runs, and it is started again" "33 33" \
    "$(run --rm kept stat -c %u /other) $($tug start mapped >/dev/null && $tug exec mapped stat -c %u /other)"
  printf 'FROM busybox\nRUN touch /made && chown 5:6 /made && grep -c " %s " /proc/self/uid_map >/maps\n' "$base" >/root/mapped.dockerfile
  check "$driver, mapped: a build's step" "5:6 1" \
    "$($tug build -q --network none -t built - </root/mapped.dockerfile >/dev/null && run --rm built sh -c 'echo $(stat -c %u:%g /made) $(cat /maps)')"
  check "$driver, mapped: an image that is mounted is read-only" "5 1" \
    "$(run --rm --mount type=image,src=built,dst=/i busybox sh -c 'echo $(stat -c %u /i/made) $(touch /i/x 2>&1 | grep -c Read-only)')"
  $tug rm -f mapped >/dev/null
  stop
  start -s "$driver" "$@" || return
  check "$driver: the same image without mapping" "0 33" "$(run --rm kept sh -c 'echo $(awk "{ print \$2 }" /proc/self/uid_map) $(stat -c %u /other)')"
  $tug rmi kept built busybox >/dev/null
  $tug builder prune -af >/dev/null
  check "$driver: no layer is left of mapped ones" "" "$(ls "/mnt/disk/tug/$driver")$(grep "/mnt/disk/tug/$driver/" /proc/mounts)"
  stop
}

disk ext4 -F defaults
if modprobe dm_thin_pool 2>/dev/null && command -v dmsetup >/dev/null; then
  truncate -s 16M /root/metadata.img
  truncate -s 1G /root/data.img
  metadata=$(losetup --find --show /root/metadata.img) data=$(losetup --find --show /root/data.img)
  dmsetup create tugpool --table "0 2097152 thin-pool $metadata $data 128 1024 1 skip_block_zeroing"
  pool_story devicemapper --storage-opt dm.thinpooldev=/dev/mapper/tugpool --storage-opt dm.basesize=64m
  remap_story devicemapper --storage-opt dm.thinpooldev=/dev/mapper/tugpool --storage-opt dm.basesize=64m
  check "devicemapper: no thin device is left" "" "$(dmsetup ls --target thin | grep tug)"
  dmsetup remove tugpool
  losetup --detach "$metadata" "$data"
  rm /root/metadata.img /root/data.img
else
  echo "skipped: devicemapper: this kernel has no dm_thin_pool, or dmsetup is not installed"
fi
if modprobe zfs 2>/dev/null; then
  truncate -s 1G /root/zpool.img
  zpool create -O mountpoint=none tugpool /root/zpool.img && zfs create tugpool/tug
  pool_story zfs --storage-opt zfs.fsname=tugpool/tug
  # Before 2.2 its file systems take no mapping, which is refused in words.
  case $(cat /sys/module/zfs/version) in
    [01].* | 2.[01].*) ;;
    *) remap_story zfs --storage-opt zfs.fsname=tugpool/tug ;;
  esac
  check "zfs: no dataset is left" tugpool/tug "$(zfs list -rH -o name -t all tugpool/tug)"
  zpool destroy -f tugpool
  rm /root/zpool.img
else
  echo "skipped: zfs: this kernel has no zfs (Debian's package zfs-dkms, in contrib)"
fi
undisk
