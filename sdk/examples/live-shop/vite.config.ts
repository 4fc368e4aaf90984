import react from '@vitejs/plugin-react'
import { defineConfig, type Connect, type Plugin } from 'vite'
import { createBackend } from './backend.ts'

const platform = process.env['PLATFORM_URL'] ?? 'http://127.0.0.1:3000'

/** Serves `/token`, as the backend of a real application would for the user who has signed in. */
function tokenEndpoint (): Plugin {
  const token = createBackend(platform)
  const handle: Connect.NextHandleFunction = (request, response, next) => {
    const { pathname, searchParams } = new URL(request.url ?? '/', 'http://localhost')
    if (pathname !== '/token') return next()
    token(searchParams.get('user') ?? 'guest').then(
      token => { response.end(token) },
      (error: Error) => {
        console.error(error.message)
        response.statusCode = 502
        response.end(error.message)
      }
    )
  }
  return {
    name: 'token-endpoint',
    configureServer: ({ middlewares }) => { middlewares.use(handle) },
    configurePreviewServer: ({ middlewares }) => { middlewares.use(handle) }
  }
}

// The page and the platform share an origin, as behind a proxy in production, so CORS needs no setup.
const proxy = { '/api': platform, '/ws': { target: platform, ws: true } }

export default defineConfig({ plugins: [react(), tokenEndpoint()], server: { proxy }, preview: { proxy } })
