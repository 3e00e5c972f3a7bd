#!/usr/bin/env bash
# Installs what a fresh Debian machine lacks and builds dist/tug. Safe to run again: it does only what is missing.
#   scripts/setup.sh            what Tug needs to run
#   scripts/setup.sh --tests    also what the test suite needs (real clients, a registry, the peers to compare with)
set -euo pipefail
cd "$(dirname "$0")/.."

say() { printf '==> %s\n' "$*" >&2; }
die() { printf 'setup: %s\n' "$*" >&2; exit 1; }

tests=false
case "${1:-}" in
--tests) tests=true ;;
"") ;;
*) sed -n 2,4p "$0"; exit 2 ;;
esac

[ "$(uname -s)" = Linux ] || die "Tug runs on Linux; this is $(uname -s)"
[ "$(id -u)" = 0 ] || die "must run as root (try: sudo $0)"

# --- Debian packages: name, and a file that shows it is there
need=(
  crun:/usr/bin/crun runc:/usr/sbin/runc conmon:/usr/bin/conmon nftables:/usr/sbin/nft iproute2:/usr/sbin/ip
  git:/usr/bin/git busybox-static:/bin/busybox tini:/usr/bin/tini-static libseccomp2: ca-certificates:/etc/ssl/certs/ca-certificates.crt
)
$tests && need+=(
  docker.io:/usr/sbin/dockerd docker-compose: python3-docker: docker-registry:/usr/bin/docker-registry skopeo:/usr/bin/skopeo umoci:/usr/bin/umoci
  debootstrap:/usr/sbin/debootstrap apache2-utils:/usr/bin/htpasswd xz-utils:/usr/bin/xz bzip2:/bin/bzip2 zstd:/usr/bin/zstd
  procps:/usr/bin/ps socat:/usr/bin/socat util-linux:/usr/bin/script qemu-system-x86:/usr/bin/qemu-system-x86_64 e2fsprogs:/usr/sbin/mkfs.ext4 btrfs-progs:/usr/sbin/mkfs.btrfs fuse-overlayfs:/usr/bin/fuse-overlayfs iptables:/usr/sbin/iptables openssl:/usr/bin/openssl openssh-server:/usr/sbin/sshd
)
command -v npm >/dev/null || need+=(nodejs:/usr/bin/node npm:/usr/bin/npm)
missing=()
for entry in "${need[@]}"; do
  package=${entry%%:*} file=${entry#*:}
  if [ -n "$file" ] && [ -e "$file" ]; then continue; fi
  dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing+=("$package")
done
if [ ${#missing[@]} -gt 0 ]; then
  command -v apt-get >/dev/null || die "missing: ${missing[*]}; install them with this system's package manager"
  say "installing ${missing[*]}"
  # A service that a package brings (dockerd, a registry) must not start by itself: tests start their own.
  policy=/usr/sbin/policy-rc.d
  made_policy=false
  if [ ! -e "$policy" ]; then printf '#!/bin/sh\nexit 101\n' >"$policy" && chmod +x "$policy" && made_policy=true; fi
  restore_policy() { if $made_policy; then rm -f "$policy"; fi; }
  trap restore_policy EXIT
  DEBIAN_FRONTEND=noninteractive
  export DEBIAN_FRONTEND
  # A mirror may stumble, and the machine's own upgrades may be at work.
  apt=(apt-get -qq -o Acquire::Retries=5 -o DPkg::Lock::Timeout=300)
  "${apt[@]}" install -y --no-install-recommends "${missing[@]}" >/dev/null 2>&1 || {
    "${apt[@]}" update >/dev/null
    "${apt[@]}" install -y --no-install-recommends "${missing[@]}" >/dev/null
  }
  restore_policy
  trap - EXIT
fi

# --- cgroups: on a v1 or hybrid host every enabled controller gets its v1 mount, as Debian's cgroupfs-mount does: a controller
# left over on the v2 side makes crun refuse the host.
if [ "$(stat -f -c %T /sys/fs/cgroup 2>/dev/null)" = tmpfs ] && [ -s /sys/fs/cgroup/unified/cgroup.controllers ]; then
  for controller in $(cat /sys/fs/cgroup/unified/cgroup.controllers); do
    mountpoint -q "/sys/fs/cgroup/$controller" && continue
    say "mounting the cgroup v1 controller $controller"
    mkdir -p "/sys/fs/cgroup/$controller"
    mount -t cgroup -o "$controller" cgroup "/sys/fs/cgroup/$controller" || { rmdir "/sys/fs/cgroup/$controller" || true; say "could not: Tug will use runc instead of crun"; }
  done
fi

# --- Bun and the libraries, from npm, as the lock file pins them
if [ ! -x node_modules/.bin/bun ] || [ package-lock.json -nt node_modules/.package-lock.json ]; then
  say "installing npm packages"
  # A registry may lack optional packages for other platforms, which `npm ci` insists on; `npm install` does not.
  npm ci --no-audit --no-fund --loglevel=silent >&2 || npm install --no-save --no-audit --no-fund --loglevel=error >&2
fi
# npm may have been told not to run install scripts: Bun's own puts the executable in its place.
node_modules/.bin/bun --version >/dev/null 2>&1 || node node_modules/bun/install.js >&2
node_modules/.bin/bun --version >/dev/null 2>&1 || die "Bun does not start on this machine (npm package bun)"

# --- the executable, when a source is newer
if [ ! -x dist/tug ] || [ -n "$(find src scripts/build.ts package.json package-lock.json -newer dist/tug -print -quit)" ]; then
  say "building dist/tug"
  node_modules/.bin/bun run --silent build >&2
fi
say "ready: dist/tug ($(dist/tug --version))"
