import { useState } from 'react'
import type { Scope } from '../app/api.ts'
import { useAction } from '../app/actions.ts'
import { Button } from '../components/button.tsx'
import { CodeBlock } from '../components/code.tsx'
import { Time } from '../components/time.tsx'
import { useReach } from '../people/names.ts'

const lifeS = 900

interface Minted {
  token: string
  expiresAt: number
}

/**
 * The same event from a terminal, with a token that may publish to this topic and subscribe to it, and nothing else. It
 * is issued on request, and is kept in the memory of the page only.
 */
export function Snippets ({ scope, topic }: { scope: Scope; topic: string }) {
  const mayIssue = useReach().in(scope.applicationId, 'tokens:create')
  const [minted, setMinted] = useState<Minted | null>(null)
  const [tab, setTab] = useState<keyof typeof snippets>('curl')
  const permissions = [`publish:${topic}`, `subscribe:${topic}`]
  const mint = useAction(
    api => api.POST('/auth/token', { body: { ...scope, permissions, expiresIn: lifeS, subject: 'first-steps' } }),
    { scope, onDone: setMinted }
  )
  return (
    <details className='mt-4 max-w-2xl' open={minted !== null || undefined}>
      <summary className='w-fit rounded text-muted hover:text-text'>From your terminal or your program</summary>
      <div className='mt-3 grid gap-3'>
        <div className='flex flex-wrap items-center gap-2'>
          <div role='tablist' aria-label='Snippet' className='flex rounded border border-line'>
            {(Object.keys(snippets) as (keyof typeof snippets)[]).map(name => (
              <button
                key={name}
                type='button'
                role='tab'
                aria-selected={name === tab}
                className='h-7 rounded px-2.5 text-muted aria-selected:bg-selected aria-selected:text-text'
                onClick={() => setTab(name)}
              >
                {name}
              </button>
            ))}
          </div>
          {mayIssue && (
            <Button isBusy={mint.isPending} onClick={() => mint.mutate(undefined)}>
              {minted === null ? 'Issue a token for 15 minutes' : 'Issue another token'}
            </Button>
          )}
          {minted !== null && (
            <span className='text-muted' role='status'>
              expires <Time at={minted.expiresAt} />
            </span>
          )}
        </div>
        <CodeBlock
          label={labels[tab]}
          text={snippets[tab]({ url: location.origin, topic, token: minted?.token ?? '$TOKEN' })}
        />
        <p className='text-xs text-muted'>
          {minted === null
            ? '$TOKEN stands for a token. An issued one may do only this:'
            : 'The token is in the snippet. It may do only this:'}{' '}
          <code className='font-mono'>{permissions.join(', ')}</code>, in development.
        </p>
      </div>
    </details>
  )
}

interface Values {
  url: string
  topic: string
  token: string
}

const labels = {
  curl: 'Publish from a shell',
  'Client library': 'npm install @realtime-platform/client',
  'Socket.IO': 'npm install socket.io-client'
}

const snippets = {
  curl: ({ url, topic, token }: Values) =>
    [
      `curl '${url}/api/topics/${topic}/events' \\`,
      `  -H "authorization: Bearer ${token}" \\`,
      "  -H 'content-type: application/json' \\",
      '  -d \'{"payload":{"total":43}}\''
    ].join('\n'),
  'Client library': ({ url, topic, token }: Values) =>
    [
      "import { RealtimeClient } from '@realtime-platform/client'",
      '',
      'const client = new RealtimeClient({',
      `  url: '${url}',`,
      `  token: ${inCode(token)}`,
      '})',
      `const topic = client.topic('${topic}')`,
      'const subscription = topic.subscribe(event => console.log(event.offset, event.payload))',
      'await subscription.ready',
      'await topic.publish({ total: 44 })'
    ].join('\n'),
  'Socket.IO': ({ url, topic, token }: Values) =>
    [
      "import { io } from 'socket.io-client'",
      '',
      `const socket = io('${url}', { auth: { token: ${inCode(token)} } })`,
      "socket.on('event', ({ offset, payload }) => console.log(offset, payload))",
      `socket.on('connect', () => socket.emit('subscribe', { topic: '${topic}' }, console.log))`
    ].join('\n')
} as const

const inCode = (token: string): string => (token === '$TOKEN' ? 'process.env.TOKEN' : `'${token}'`)
