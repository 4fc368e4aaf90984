export interface SnippetParts {
  url: string
  topic: string
  token: string | undefined
}

/** Snippets that work as they are: with a token in them, or with one in the variable TOKEN. */
export function snippetsFor ({ url, topic, token }: SnippetParts): { label: string; text: string }[] {
  const shellToken = token ?? '$TOKEN'
  const codeToken = token === undefined ? 'process.env.TOKEN' : `'${token}'`
  return [
    {
      label: 'Publish with curl',
      text: [
        `curl -X POST '${url}/api/topics/${encodeURIComponent(topic)}/events' \\`,
        `  -H "authorization: Bearer ${shellToken}" -H 'content-type: application/json' \\`,
        '  -d \'{"payload":{"total":42}}\''
      ].join('\n')
    },
    {
      label: 'Subscribe with the client library: npm install @realtime-platform/client ws',
      text: [
        "import { RealtimeClient } from '@realtime-platform/client'",
        '',
        `const client = new RealtimeClient({ url: '${url}', token: ${codeToken} })`,
        `client.topic('${topic}').subscribe(event => console.log(event.offset, event.payload))`
      ].join('\n')
    },
    {
      label: 'Subscribe with Socket.IO: npm install socket.io-client',
      text: [
        "import { io } from 'socket.io-client'",
        '',
        `const socket = io('${url}', { auth: { token: ${codeToken} } })`,
        "socket.on('event', event => console.log(event.offset, event.payload))",
        `socket.on('connect', () => socket.emit('subscribe', { topic: '${topic}' }, console.log))`
      ].join('\n')
    },
    {
      label: 'Types of the payloads',
      text: `npx realtime-platform generate --url '${url}' --token "${shellToken}" --output src/topics.ts`
    }
  ]
}
