import tailwindcss from '@tailwindcss/vite'
import react from '@vitejs/plugin-react'
import { defineConfig } from 'vite'
import { compressed } from './compressed.ts'

/** The platform behind the development server. In production, the platform serves the console itself. */
const platform = process.env['PLATFORM_URL'] ?? 'http://127.0.0.1:3000'

const served = ['/api/', '/auth/', '/health', '/docs', '/openapi.json', '/asyncapi.json', '/.well-known/']
const proxy = {
  ...Object.fromEntries(served.map(path => [path, { target: platform, changeOrigin: true }])),
  '/ws': { target: platform, ws: true, changeOrigin: true }
}

export default defineConfig({
  plugins: [react(), tailwindcss(), compressed()],
  // The platform replaces it in each page that it sends (src/foundation/http/console-files.ts).
  html: { cspNonce: '__CSP_NONCE__' },
  build: { target: 'es2022', assetsInlineLimit: 0, reportCompressedSize: false, chunkSizeWarningLimit: 600 },
  server: { proxy },
  clearScreen: false
})
