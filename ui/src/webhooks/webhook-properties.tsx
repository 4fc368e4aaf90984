import { Code } from '../components/code.tsx'
import { JsonView } from '../components/json-view.tsx'
import { Properties } from '../components/properties.tsx'
import { Time } from '../components/time.tsx'
import type { Webhook } from './status.ts'

/** The settings of a webhook, to be read. */
export function WebhookProperties ({ webhook }: { webhook: Webhook }) {
  return (
    <Properties
      items={[
        ['URL', <span className='font-mono text-xs break-all'>{webhook.url}</span>],
        webhook.description !== null && ['Description', webhook.description],
        ['Topics', webhook.topics === null ? 'Every topic' : <Words all={webhook.topics} />],
        ['Events', webhook.events.includes('*') ? 'All types' : <Words all={webhook.events} />],
        ['Environments', webhook.environments?.join(', ') ?? 'All'],
        ['Filter', webhook.filter === null ? 'None' : <JsonView value={webhook.filter} label='Filter' />],
        ['Order', webhook.ordering === 'key' ? 'One after the other for each key' : 'As fast as possible'],
        ['Rate limit', webhook.rateLimit === null ? 'None' : `${webhook.rateLimit} requests/s from each node`],
        ['ID', <Code isCopyable>{webhook.id}</Code>],
        ['Created', <Time at={webhook.createdAt} />],
        ['Changed', <Time at={webhook.updatedAt} />]
      ]}
    />
  )
}

const Words = ({ all }: { all: readonly string[] }) => (
  <span className='flex flex-wrap gap-1'>
    {all.map(word => (
      <code key={word} className='rounded-sm bg-sunken px-1.5 font-mono text-xs'>
        {word}
      </code>
    ))}
  </span>
)
