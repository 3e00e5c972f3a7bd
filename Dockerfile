# Tug in a container of its own:
#   tug build -t tug . && tug run -d --privileged -v tug:/var/lib/tug tug
FROM debian:bookworm AS base

FROM base AS tools
RUN apt-get update \
 && apt-get install -y --no-install-recommends ca-certificates nodejs npm \
 && rm -rf /var/lib/apt/lists/*
WORKDIR /src
COPY package.json package-lock.json ./
# A registry may lack optional packages for other platforms, which `npm ci` insists on.
# Where TLS goes through a certificate authority of one's own: --secret id=ca,src=/etc/ssl/certs/ca-certificates.crt
RUN --mount=type=cache,target=/root/.npm --mount=type=secret,id=ca,target=/run/ca.pem \
    [ ! -s /run/ca.pem ] || export NODE_EXTRA_CA_CERTS=/run/ca.pem; \
    npm ci --no-audit --no-fund --loglevel=silent || npm install --no-save --no-audit --no-fund --loglevel=error; \
    node_modules/.bin/bun --version >/dev/null 2>&1 || node node_modules/bun/install.js; \
    node_modules/.bin/bun --version

FROM tools AS build
ARG TUG_COMMIT=unknown
COPY tsconfig.json ./
COPY scripts/build.ts scripts/
COPY src src
RUN node_modules/.bin/bun scripts/build.ts /out/tug

FROM base
RUN apt-get update \
 && apt-get install -y --no-install-recommends ca-certificates conmon crun iproute2 libseccomp2 nftables runc tini \
 && rm -rf /var/lib/apt/lists/*
COPY --from=build /out/tug /usr/local/bin/tug
VOLUME /var/lib/tug
ENTRYPOINT ["tug"]
CMD ["daemon"]
