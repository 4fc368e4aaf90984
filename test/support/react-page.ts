import type { PageScript } from './chromium.ts'

/**
 * A page with a client and React in strict mode. `show` renders the component of the page with properties; null removes
 * it. The script defines `Shown`, and may use `log` to record what happens.
 */
export const reactPage = (component: string): PageScript => ({
  source: `
    import * as React from 'react'
    import { StrictMode, useEffect, useState } from 'react'
    import { createRoot } from 'react-dom/client'
    import { flushSync } from 'react-dom'
    import { RealtimeClient } from '@realtime-platform/client'
    import * as hooks from '@realtime-platform/client/react'

    const { url, token } = JSON.parse(decodeURIComponent(location.hash.slice(1)))
    const { RealtimeProvider } = hooks
    const log = window.log = []
    const lines = window.lines = []
    const client = window.client = new RealtimeClient({
      url, token, autoConnect: false, lingerMs: 20, debug: line => lines.push(line)
    })
    ${component}
    const root = createRoot(document.getElementById('root'))
    window.show = props => flushSync(() => root.render(
      <StrictMode>
        <RealtimeProvider client={client}>{props === null ? null : <Shown {...props} />}</RealtimeProvider>
      </StrictMode>
    ))
  `
})

/** The address of a page that connects with the token. */
export const pageAddress = (page: string, options: { url: string, token: string }): string =>
  `${page}#${encodeURIComponent(JSON.stringify(options))}`
