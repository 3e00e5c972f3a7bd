#!/usr/bin/env bash
# From a fresh clone to a first container: set-up, a running daemon, a busybox image, `tug run`.
# The daemon goes on running; `scripts/quickstart.sh stop` stops it and leaves the data in /var/lib/tug.
set -euo pipefail
cd "$(dirname "$0")/.."
export TUG_HOST=${TUG_HOST:-unix:///run/tug/tug.sock}
pidfile=/run/tug/tug.pid
log=/var/log/tug.log

if [ "${1:-}" = stop ]; then
  [ -f "$pidfile" ] || { echo "no daemon runs (no $pidfile)"; exit 0; }
  pid=$(cat "$pidfile")
  kill "$pid"
  tail --pid="$pid" -f /dev/null
  echo "stopped"
  exit 0
fi

scripts/setup.sh
tug=dist/tug
if ! $tug version >/dev/null 2>&1; then
  echo "==> starting the daemon (log: $log)" >&2
  mkdir -p /run/tug
  setsid nohup $tug daemon --pidfile "$pidfile" >"$log" 2>&1 </dev/null &
  for _ in $(seq 100); do $tug version >/dev/null 2>&1 && break; sleep 0.1; done
  $tug version >/dev/null 2>&1 || { echo "the daemon did not start:" >&2; tail -20 "$log" >&2; exit 1; }
fi
if ! $tug image inspect busybox >/dev/null 2>&1; then
  # With or without Internet: the image is made from the distribution's static busybox.
  echo "==> making the image busybox from /bin/busybox" >&2
  scripts/busybox-image.sh | $tug import --change 'CMD ["sh"]' --change 'ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin' - busybox >/dev/null
fi
echo "==> tug run --rm busybox echo ..." >&2
$tug run --rm busybox echo "Hello from a container: it runs."
cat >&2 <<MESSAGE

Tug is running. Try:
  $tug run -it --rm busybox
  $tug run -d --name web -p 8080:80 busybox httpd -f -h /etc
  $tug ps
  DOCKER_HOST=$TUG_HOST docker ps
  scripts/quickstart.sh stop
MESSAGE
