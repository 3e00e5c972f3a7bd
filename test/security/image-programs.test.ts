import { afterAll, afterEach, beforeAll, expect, test } from "bun:test";
import { existsSync } from "node:fs";
import { TestDaemon } from "../harness/daemon.ts";

/**
 * CVE-2019-14271, CVE-2026-41567, CVE-2022-1227: what the daemon does for a container is done with its own programs and libraries,
 * although those of the image stand in their places. (Archives in every format: "no program of the image is run" in test/e2e/files.)
 */
let daemon: TestDaemon;
beforeAll(async () => {
  daemon = await TestDaemon.start();
}, 120_000);
afterEach(() => daemon.assertClean());
afterAll(() => daemon.close());

const programs =
  "ps top nsenter setpriv getent id tar gzip unpigz xz zstd bzip2 git mount umount modprobe ip iptables nft tini docker-init tug";
const libraries =
  "libnss_files.so.2 libnss_dns.so.2 libnss_compat.so.2 libc.so.6 libseccomp.so.2 libyajl.so.2 ld-linux-x86-64.so.2 ld.so.preload";

test("top, cp, commit, export, diff, exec by name, logs and stats run nothing of the image", async () => {
  // Made by name, not by what stands there now: the traps would catch the one who sets them.
  const trap = `
    b=/bin/busybox
    $b printf '#!/bin/busybox sh\\n/bin/busybox touch /ran /host-ran; echo caught' >/trap; $b chmod 755 /trap
    for d in /bin /sbin /usr/bin /usr/sbin /usr/local/bin /usr/local/sbin; do for p in ${programs}; do $b ln -sf /trap $d/$p; done; done
    for d in /lib /lib64 /usr/lib /lib/x86_64-linux-gnu /usr/lib/x86_64-linux-gnu; do $b mkdir -p $d; for l in ${libraries}; do $b cp /trap $d/$l; done; done
    echo /lib/libnss_files.so.2 >/etc/ld.so.preload
    echo 'passwd: evil files' >/etc/nsswitch.conf; echo 'group: evil files' >>/etc/nsswitch.conf; $b cp /trap /lib/libnss_evil.so.2
    $b touch /set; exec $b sleep 1000`;
  await daemon.ok([
    "run",
    "-d",
    "--name",
    "trapped",
    "--user",
    "root",
    "--init",
    "busybox",
    "sh",
    "-c",
    trap,
  ]);
  while ((await daemon.tug(["exec", "trapped", "/bin/busybox", "test", "-e", "/set"])).code !== 0);
  expect(await daemon.ok(["top", "trapped"])).toContain("sleep 1000");
  expect(await daemon.ok(["top", "trapped", "-eo", "pid,user,group,args"])).toContain("sleep 1000");
  await daemon.ok(["exec", "-u", "www-data:daemon", "trapped", "/bin/busybox", "true"]);
  await daemon.ok(["cp", "trapped:/etc/passwd", "-"]);
  await daemon.ok(["cp", "-a", `${import.meta.dir}/.`, "trapped:/tmp"]);
  await daemon.ok(["export", "-o", "/dev/null", "trapped"]);
  await daemon.ok(["stats", "--no-stream", "trapped"]);
  await daemon.ok(["logs", "trapped"]);
  await daemon.ok(["commit", "trapped", "trapped:image"]);
  expect(await daemon.ok(["diff", "trapped"])).not.toContain("/ran");
  // A container of that image, with a terminal, an init and a health check of its own.
  await daemon.ok(["run", "--rm", "-t", "--init", "-u", "daemon", "trapped:image", "/bin/busybox", "true"]);
  expect((await daemon.tug(["exec", "trapped", "/bin/busybox", "ls", "/ran"])).code).not.toBe(0);
  expect(existsSync("/host-ran")).toBe(false);
  expect(existsSync("/ran")).toBe(false);
  await daemon.assertClean();
  await daemon.ok(["rmi", "trapped:image"]);
}, 120_000);

test("an image with absolute links in its paths still takes and gives files, runs, and resolves users", async () => {
  await daemon.ok([
    ...["run", "-d", "--name", "linked", "busybox", "sh", "-c"],
    "rm -rf /var/run && ln -s /run /var/run && mv /etc/passwd /usr/passwd && ln -s /usr/passwd /etc/passwd && mv /home /usr/home && ln -s /usr/home /home && touch /set && exec sleep 1000",
  ]);
  while ((await daemon.tug(["exec", "linked", "test", "-e", "/set"])).code !== 0);
  for (const state of ["running", "stopped"]) {
    if (state === "stopped") await daemon.ok(["stop", "-t", "0", "linked"]);
    await daemon.ok(["cp", `${import.meta.dir}/image-programs.test.ts`, `linked:/var/run/${state}`]);
    await daemon.ok(["cp", `linked:/var/run/${state}`, "-"]);
    await daemon.ok(["cp", `${import.meta.dir}/image-programs.test.ts`, `linked:/home/${state}`]);
  }
  await daemon.ok(["commit", "linked", "linked:image"]);
  expect(
    await daemon.ok([
      "run",
      "--rm",
      "-u",
      "www-data",
      "-w",
      "/var/run/new",
      "linked:image",
      "sh",
      "-c",
      "id -un; pwd -P; ls /run /usr/home",
    ]),
  ).toMatch(/^www-data\n\/run\/new\n\/run:\n[\s\S]*running\nstopped\n\n\/usr\/home:\nrunning\nstopped$/);
  await daemon.assertClean();
  await daemon.ok(["rmi", "linked:image"]);
}, 120_000);
