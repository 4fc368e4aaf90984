import { register } from 'tsx/esm/api'

// The worker of `npm run dev`: tsx does not load itself in threads.
register()
const { default: check } = await import('./checker-worker.ts')
export default check
