#!/usr/bin/env bash
# Writes a root file system tar with the distribution's static busybox, all its applets and the usual files to standard output.
set -euo pipefail
# Modes are the image's, whoever makes it.
umask 022
busybox=$(command -v busybox)
root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT
mkdir -p "$root"/{bin,sbin,dev,proc,sys,etc,root,home,tmp,run,usr/{bin,sbin,local/{bin,sbin}},var/{log,spool,tmp}}
chmod 1777 "$root/tmp" "$root/var/tmp"
chmod 0700 "$root/root"
chmod 0755 "$root"
cp "$busybox" "$root/bin/busybox"
chmod 0755 "$root/bin/busybox"
for applet in $("$busybox" --list); do
  [ "$applet" = busybox ] || ln -s busybox "$root/bin/$applet"
done
cat >"$root/etc/passwd" <<'P'
root:x:0:0:root:/root:/bin/sh
daemon:x:1:1:daemon:/usr/sbin:/bin/false
www-data:x:33:33:www-data:/var/www:/bin/false
nobody:x:65534:65534:nobody:/home:/bin/false
P
cat >"$root/etc/group" <<'G'
root:x:0:
daemon:x:1:
tty:x:5:
www-data:x:33:
nogroup:x:65534:
G
printf 'hosts: files dns\n' >"$root/etc/nsswitch.conf"
tar --sort=name --mtime='2024-01-01 00:00:00 UTC' --numeric-owner --owner=0 --group=0 -C "$root" -cf - .
