# KalamDB: the server and its command line. docs/docker.md says how to use and change it.
# Made for the legacy builder too: no heredocs, mounts or `COPY --chmod`.
ARG NODE_IMAGE=node:20-bookworm-slim

FROM ${NODE_IMAGE} AS manifests
WORKDIR /app
COPY package.json package-lock.json ./
COPY cli/package.json cli/
COPY docker/package.json docker/
COPY examples/simple-typescript/package.json examples/simple-typescript/
COPY link/sdks/typescript/package.json link/sdks/typescript/

# Two packages compile; those that test and check are 600 MB. `npm run check` looks at types.
FROM manifests AS build
RUN npm ci --workspace docker --ignore-scripts --no-audit --no-fund
COPY . .
RUN node link/sdks/typescript/build.js --only-to-run && node_modules/.bin/tsc --project docker

FROM manifests AS packages
RUN npm ci --workspace cli --include-workspace-root --omit=dev --ignore-scripts --no-audit --no-fund
COPY docker/trim.js docker/
RUN node docker/trim.js

FROM ${NODE_IMAGE}
WORKDIR /app
COPY --from=packages /app/node_modules node_modules
COPY package.json LICENSE ./
COPY link/sdks/typescript/package.json link/sdks/typescript/
COPY --from=build /app/link/sdks/typescript/dist link/sdks/typescript/dist
COPY cli/package.json cli/
COPY cli/bin cli/bin
COPY docker/health.js docker/
COPY --from=build /app/dist dist
RUN ln -s /app/cli/bin/kalam.js /usr/local/bin/kalam && \
    ln -s kalam /usr/local/bin/kalam-cli && \
    mkdir /data && chown 1000:1000 /data

# What is not as docs/settings.md has it. Variables win over a mounted config.toml.
ENV NODE_ENV=production \
    KALAM_CONTAINER=docker \
    KALAMDB_SERVER_HOST=0.0.0.0 \
    KALAMDB_SERVER_DATA_DIR=/data/kalamdb

# HTTP; and the Postgres wire, when KALAMDB_POSTGRES_WIRE_ENABLED turns it on.
EXPOSE 2900 5433
VOLUME /data
USER 1000:1000
HEALTHCHECK --interval=10s --timeout=5s --start-period=120s CMD ["node", "/app/docker/health.js"]

# Node is process 1: `kalam serve` ends by itself on SIGTERM, and leaves no children to reap.
ENTRYPOINT ["kalam"]
CMD ["serve"]
