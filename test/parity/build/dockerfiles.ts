// biome-ignore-all lint/suspicious/noTemplateCurlyInString: Dockerfiles have such words themselves.

/**
 * Builds that are told to Tug and to Debian's dockerd with BuildKit; the images' trees, configs and histories agree. Only what that BuildKit (of
 * 2022) knows stands here; younger parts of the language have tests of their own.
 */
export interface BuildCase {
  readonly name: string;
  readonly dockerfile: string;
  readonly files?: Readonly<Record<string, ContextFile>>;
  /** Of the build, besides the tag. */
  readonly args?: readonly string[];
  /** Both refuse it, for the same reason; default: both build it. */
  readonly fails?: true;
}

export type ContextFile =
  | string
  | { readonly content: string; readonly mode: number }
  | { readonly link: string }
  | { readonly directory: true; readonly mode?: number }
  /** An archive with these files. */
  | { readonly tar: Readonly<Record<string, string>>; readonly gzip?: boolean };

const tree: Readonly<Record<string, ContextFile>> = {
  "a.txt": "a\n",
  "b.txt": "b\n",
  "run.sh": { content: "#!/bin/sh\necho run\n", mode: 0o755 },
  private: { content: "secret\n", mode: 0o600 },
  "dir/one": "1\n",
  "dir/two": "2\n",
  "dir/deep/three": "3\n",
  empty: { directory: true, mode: 0o700 },
  link: { link: "a.txt" },
  dirlink: { link: "dir" },
  dangling: { link: "nowhere" },
};

const from = (body: string) => `FROM busybox\n${body}\n`;

export const builds: readonly BuildCase[] = [
  { name: "nothing but a base", dockerfile: "FROM busybox\n" },
  { name: "a file on nothing", dockerfile: "FROM scratch\nCOPY a.txt /\n", files: tree },
  { name: "the whole context", dockerfile: from("COPY . /all"), files: tree },
  { name: "the whole context into the root", dockerfile: "FROM scratch\nCOPY . .\n", files: tree },
  { name: "a file to a name", dockerfile: from("COPY a.txt /x/y/z"), files: tree },
  { name: "a file to a directory", dockerfile: from("COPY a.txt /x/y/z/"), files: tree },
  { name: "a file onto a directory that is there", dockerfile: from("COPY a.txt /bin"), files: tree },
  { name: "a directory's contents", dockerfile: from("COPY dir /x"), files: tree },
  {
    name: "a directory's contents into a directory that is there",
    dockerfile: from("COPY dir /etc"),
    files: tree,
  },
  { name: "several sources", dockerfile: from("COPY a.txt b.txt dir /x/"), files: tree },
  { name: "sources as JSON", dockerfile: from('COPY ["a.txt", "b.txt", "/x y/"]'), files: tree },
  { name: "wildcards", dockerfile: from("COPY *.txt d?r/o* /x/"), files: tree },
  { name: "a class of characters", dockerfile: from("COPY [ab].txt /x/"), files: tree },
  {
    name: "links as they are within a directory",
    dockerfile: from("COPY . /x/"),
    files: { "in/link": { link: "../up" }, up: "up\n" },
  },
  { name: "a link that is named is followed", dockerfile: from("COPY link /x"), files: tree },
  { name: "a link to a directory", dockerfile: from("COPY dirlink /x"), files: tree },
  { name: "modes", dockerfile: from("COPY run.sh private empty /x/"), files: tree },
  {
    name: "an owner by name",
    dockerfile: from(
      "RUN echo 'joe:x:1000:1001::/:/bin/sh' >>/etc/passwd; echo 'joes:x:1001:' >>/etc/group\nCOPY --chown=joe:joes dir /x",
    ),
    files: tree,
  },
  { name: "an owner by number", dockerfile: from("COPY --chown=12:34 dir /x/new/"), files: tree },
  {
    name: "an owner without a group",
    dockerfile: from("RUN echo 'joe:x:1000:1001::/:/bin/sh' >>/etc/passwd\nCOPY --chown=joe a.txt /x/"),
    files: tree,
  },
  { name: "a user number without a group", dockerfile: from("COPY --chown=7 a.txt /x/"), files: tree },
  { name: "WORKDIR makes a directory", dockerfile: from("WORKDIR /a/b/c\nRUN pwd >out") },
  {
    name: "WORKDIR relative to the last",
    dockerfile: from("WORKDIR /a\nWORKDIR b\nWORKDIR ../c\nRUN pwd >out"),
  },
  { name: "WORKDIR of a directory that is there", dockerfile: from("WORKDIR /bin") },
  { name: "WORKDIR with a variable", dockerfile: from("ENV D=/x/y\nWORKDIR $D/z") },
  {
    name: "WORKDIR and a relative destination",
    dockerfile: from("WORKDIR /a\nCOPY a.txt b/\nCOPY b.txt ."),
    files: tree,
  },
  { name: "WORKDIR with a user", dockerfile: from("USER 1000:1000\nWORKDIR /home/me\nRUN id -u >/tmp/id") },
  { name: "RUN in shell form", dockerfile: from("RUN echo hello >/out && chmod 640 /out") },
  { name: "RUN in exec form", dockerfile: from('RUN ["/bin/sh", "-c", "echo hello >/out"]') },
  {
    name: "RUN over several lines",
    dockerfile: from("RUN echo one >/out \\\n  # a remark\n\n  && echo two >>/out"),
  },
  { name: "RUN that removes", dockerfile: from("RUN rm -r /bin/ls /etc/passwd\nRUN mkdir /etc/passwd") },
  {
    name: "RUN that replaces a directory",
    dockerfile: from("RUN mkdir -p /d/a /d/b\nRUN rm -r /d && mkdir /d && touch /d/c"),
  },
  { name: "RUN that changes nothing", dockerfile: from("RUN true\nRUN echo x >/x") },
  {
    name: "RUN with links and devices",
    dockerfile: from("RUN ln -s nowhere /s && touch /h && ln /h /i && mkfifo /p && mknod /n c 1 3"),
  },
  {
    name: "RUN with set-uid and sticky bits",
    dockerfile: from(
      "RUN cp /bin/busybox /su && chmod 4755 /su && mkdir /t && chmod 1777 /t && mkdir /g && chmod 2755 /g",
    ),
  },
  {
    name: "RUN as a user",
    dockerfile: from(
      "RUN echo 'joe:x:1000:1001::/home/joe:/bin/sh' >>/etc/passwd && mkdir -p /home/joe && chown 1000:1001 /home/joe\nUSER joe\nRUN id -u >/home/joe/id && echo $HOME >>/home/joe/id",
    ),
  },
  { name: "SHELL", dockerfile: from('SHELL ["/bin/sh", "-ec"]\nRUN echo $0 >/out\nCMD echo hi') },
  {
    name: "ENV in both forms",
    dockerfile: from('ENV A=1 B="two words" C=a\\ b\nENV D the rest of it\nRUN echo "$A-$B-$C-$D" >/out'),
  },
  {
    name: "ENV that refers to itself",
    dockerfile: from("ENV A=1\nENV A=2 B=$A\nENV C=${A}x${B:-y}${N:-z}${A:+w}\nRUN echo $A $B $C >/out"),
  },
  {
    name: "quotes and escapes",
    dockerfile: from('ENV A=x\nENV B=\'$A\' C="$A" D=\\$A E="\\"" F=\'a"b\'\nLABEL l=\'$A\' m="$A"'),
  },
  {
    name: "ARG with and without default",
    dockerfile: 'ARG TAG=latest\nFROM busybox:$TAG\nARG TAG\nARG A=1\nARG B\nRUN echo "$TAG $A $B" >/out\n',
    args: ["--build-arg", "B=2"],
  },
  {
    name: "ARG from outside wins over the default",
    dockerfile: from("ARG A=1\nRUN echo $A >/out"),
    args: ["--build-arg", "A=9"],
  },
  {
    name: "ENV wins over ARG",
    dockerfile: from("ARG A=1\nENV A=2\nRUN echo $A >/out\nENV B=${A}3"),
    args: ["--build-arg", "A=9"],
  },
  {
    name: "ARG that is not declared",
    dockerfile: from('RUN echo "[$A]" >/out'),
    args: ["--build-arg", "A=9"],
  },
  {
    name: "ARG for the platform",
    dockerfile: from("ARG TARGETOS\nARG TARGETARCH\nRUN echo $TARGETOS/$TARGETARCH >/out"),
  },
  {
    name: "the proxy's variables leave no trace",
    dockerfile: from("RUN echo $HTTP_PROXY >/out"),
    args: ["--build-arg", "HTTP_PROXY=http://proxy:1"],
  },
  { name: "CMD in shell form", dockerfile: from("CMD echo $HOME") },
  { name: "CMD in exec form", dockerfile: from('CMD ["echo", "a b"]') },
  { name: "ENTRYPOINT takes the base's CMD away", dockerfile: from('ENTRYPOINT ["echo"]') },
  { name: "CMD and ENTRYPOINT", dockerfile: from('CMD ["x"]\nENTRYPOINT echo hi') },
  { name: "EXPOSE", dockerfile: from("ENV P=90\nEXPOSE 80 443/tcp 53/udp $P 100-102") },
  { name: "VOLUME", dockerfile: from('VOLUME /a /b\nVOLUME ["/c d"]\nRUN mkdir -p /a && echo x >/a/file') },
  {
    name: "LABEL",
    dockerfile: from('LABEL a=1 "b c"="d e" f.g="line \\\nmore"\nLABEL h i j'),
    args: ["--label", "k=l"],
  },
  {
    name: "STOPSIGNAL, USER, MAINTAINER",
    dockerfile: from("STOPSIGNAL SIGUSR1\nUSER 1:2\nMAINTAINER Someone <a@b>"),
  },
  {
    name: "HEALTHCHECK",
    dockerfile: from("HEALTHCHECK --interval=5s --timeout=3s --start-period=1m --retries=4 CMD test -e /x"),
  },
  {
    name: "HEALTHCHECK in exec form, and none",
    dockerfile: 'FROM busybox AS a\nHEALTHCHECK CMD ["true"]\nFROM a\nHEALTHCHECK NONE\n',
  },
  { name: "ONBUILD is kept", dockerfile: from("ONBUILD RUN echo x >/x\nONBUILD COPY . /y") },
  {
    name: "ONBUILD of a stage runs",
    dockerfile: "FROM busybox AS base\nONBUILD ENV A=1\nONBUILD RUN echo $A >/x\nFROM base\nRUN cat /x >/y\n",
  },
  {
    name: "stages by name and number",
    dockerfile:
      "FROM busybox AS one\nRUN echo 1 >/1\nFROM busybox\nRUN echo 2 >/2\nFROM scratch\nCOPY --from=one /1 /\nCOPY --from=1 /2 /b/\n",
  },
  {
    name: "a stage on a stage",
    dockerfile: "FROM busybox AS one\nENV A=1\nRUN echo 1 >/1\nFROM one AS two\nRUN cat /1 >/2\n",
  },
  {
    name: "a target",
    dockerfile: "FROM busybox AS one\nRUN echo 1 >/1\nFROM busybox AS two\nRUN false\n",
    args: ["--target", "one"],
  },
  {
    name: "a stage that nobody needs does not run",
    dockerfile: "FROM busybox AS broken\nRUN false\nFROM busybox\nRUN echo ok >/ok\n",
  },
  {
    name: "a copy from an image",
    dockerfile: "FROM scratch\nCOPY --from=busybox /bin/busybox /etc/passwd /x/\n",
  },
  {
    name: "a directory from a stage",
    dockerfile:
      "FROM busybox AS a\nRUN mkdir -p /d/e && echo x >/d/e/f && ln -s f /d/e/g && chown -R 5:6 /d && chmod 700 /d/e\nFROM scratch\nCOPY --from=a /d /d\nCOPY --from=a --chown=1:2 /d /o\n",
  },
  {
    name: "ADD unpacks archives",
    dockerfile: from("ADD a.tar b.tar.gz plain.tar.txt /k/"),
    files: {
      "a.tar": { tar: { "d/f": "x\n", g: "y\n" } },
      "b.tar.gz": { tar: { "h/i": "z\n" }, gzip: true },
      "plain.tar.txt": "no archive\n",
    },
  },
  { name: "ADD of plain files", dockerfile: from("ADD a.txt dir /x/"), files: tree },
  {
    name: "what .dockerignore leaves out",
    dockerfile: from("COPY . /x"),
    files: { ...tree, ".dockerignore": "# remark\n*.txt\n!b.txt\ndir/**\n!dir/two\n" },
  },
  {
    name: "a .dockerignore of its own",
    dockerfile: from("COPY . /x"),
    files: { ...tree, "Dockerfile.dockerignore": "dir\n", ".dockerignore": "a.txt\n" },
  },
  {
    name: "another escape character",
    dockerfile: "# escape=`\nFROM busybox\nRUN echo a `\n b >/out\nENV A=x` y\n",
  },
  { name: "case of instructions", dockerfile: "from busybox\nrun echo x >/x\nEnv a=b\n" },
  {
    name: "mount: a cache stays out of the image",
    dockerfile: from("RUN --mount=type=cache,target=/root echo x >/root/x && ls /root >/out"),
  },
  {
    name: "mount: the context",
    dockerfile: from("RUN --mount=type=bind,target=/root cat /root/a.txt /root/dir/one >/out"),
    files: tree,
  },
  {
    name: "mount: of a stage, written to in vain",
    dockerfile:
      "FROM busybox AS a\nRUN echo x >/x\nFROM busybox\nRUN --mount=from=a,target=/root,rw echo y >/root/y; ls /root >/out\n",
  },
  {
    name: "mount: in memory",
    dockerfile: from("RUN --mount=type=tmpfs,target=/root echo x >/root/x && cp /root/x /out"),
  },
  { name: "an unknown instruction", dockerfile: "FROM busybox\nRNU true\n", fails: true },
  { name: "no FROM", dockerfile: "RUN true\n", fails: true },
  { name: "an empty Dockerfile", dockerfile: "\n# nothing\n", fails: true },
  { name: "an unknown flag", dockerfile: from("COPY --form=x a /"), fails: true },
  { name: "a file that is missing", dockerfile: from("COPY nothing.txt /"), files: tree, fails: true },
  {
    name: "a pattern that matches nothing",
    dockerfile: from("COPY *.nothing /x/"),
    files: tree,
  },
  { name: "a command that fails", dockerfile: from("RUN echo before; exit 3"), fails: true },
  { name: "a program that is missing", dockerfile: from('RUN ["/no/such/program"]'), fails: true },
  {
    name: "a target that is missing",
    dockerfile: from("RUN true"),
    args: ["--target", "nobody"],
    fails: true,
  },
  {
    name: "a stage that refers to itself",
    dockerfile: "FROM busybox AS a\nCOPY --from=a /x /y\n",
    fails: true,
  },
  { name: "ENV without a value", dockerfile: from("ENV A"), fails: true },
  { name: "an invalid EXPOSE", dockerfile: from("EXPOSE x"), fails: true },
  { name: "two FROM names in vain", dockerfile: "FROM busybox as\n", fails: true },
  { name: "nothing after COPY", dockerfile: from("COPY a.txt"), files: tree, fails: true },
  { name: "a user that is missing", dockerfile: from("USER nobodyhere\nRUN true"), fails: true },
  { name: "ONBUILD ONBUILD", dockerfile: from("ONBUILD ONBUILD RUN true"), fails: true },
];
