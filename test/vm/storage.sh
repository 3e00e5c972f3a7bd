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
undisk() { umount /mnt/disk; rm -f /root/disk.img; }
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
