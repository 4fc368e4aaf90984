/* Code that verifies the signature of a webhook. The secret stays out of it: `WEBHOOK_SECRET` stands for it. */

export interface Snippet {
  name: string
  text: string
}

export const snippets: readonly Snippet[] = [
  {
    name: 'Node',
    text: `import express from 'express'
import { WebhookError, WebhookReceiver } from '@realtime-platform/client/webhook'

const receiver = new WebhookReceiver(process.env.WEBHOOK_SECRET ?? '')
const app = express()

// The signature covers the bytes of the body, so the body must not be parsed before.
app.post('/webhook', express.raw({ type: 'application/json' }), (request, response) => {
  try {
    const { event, isTest } = receiver.verify(request.body, request.headers)
    if (!isTest) console.log(event.topic, event.payload)
    response.sendStatus(204)
  } catch (error) {
    response.sendStatus(error instanceof WebhookError ? 400 : 500)
  }
})
app.listen(8080)`
  },
  {
    name: 'Edge',
    text: `import { WebhookError, WebhookReceiver } from '@realtime-platform/client/webhook'

export default {
  async fetch (request, env) {
    const receiver = new WebhookReceiver(env.WEBHOOK_SECRET)
    try {
      const { event, isTest } = await receiver.verifyAsync(await request.text(), request.headers)
      if (!isTest) console.log(event.topic, event.payload)
      return new Response(null, { status: 204 })
    } catch (error) {
      return new Response(null, { status: error instanceof WebhookError ? 400 : 500 })
    }
  }
}`
  },
  {
    name: 'standardwebhooks',
    text: `// Any library of Standard Webhooks verifies the requests: npm install standardwebhooks
import { Webhook } from 'standardwebhooks'

const webhook = new Webhook(process.env.WEBHOOK_SECRET)
const message = webhook.verify(rawBody, request.headers)
console.log(message.data.topic, message.data.payload)`
  },
  {
    name: 'openssl',
    text: `# id, timestamp and body come from the request: webhook-id, webhook-timestamp, and its bytes in body.json.
# WEBHOOK_SECRET begins with whsec_.
key=$(printf %s "\${WEBHOOK_SECRET#whsec_}" | base64 -d | od -An -v -tx1 | tr -d ' \\n')
signature=$({ printf '%s.%s.' "$id" "$timestamp"; cat body.json; } |
  openssl dgst -sha256 -mac HMAC -macopt "hexkey:$key" -binary | base64)
# One of the values in webhook-signature must be:
echo "v1,$signature"

# Send a signed request to your endpoint:
curl -X POST "$url" -H 'content-type: application/json' -H "webhook-id: $id" \\
  -H "webhook-timestamp: $timestamp" -H "webhook-signature: v1,$signature" --data-binary @body.json`
  }
]
