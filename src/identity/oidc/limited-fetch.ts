import type { CustomFetch } from 'openid-client'

/** Returns a `fetch` that fails if a response is longer. The caller sets the time limit by its signal. */
export const limitedFetch = (bytesMax: number): CustomFetch =>
  async (url, options) => {
    const response = await fetch(url, options as RequestInit)
    if (response.body === null) return response
    let bytes = 0
    const limited = response.body.pipeThrough(new TransformStream<Uint8Array, Uint8Array>({
      transform (part, controller) {
        bytes += part.length
        if (bytes > bytesMax) controller.error(new Error(`the response is longer than ${bytesMax} bytes`))
        else controller.enqueue(part)
      }
    }))
    return new Response(limited, response)
  }
