import { Checkbox, Select } from '../components/field.tsx'
import { Button } from '../components/button.tsx'
import { RangePicker } from '../components/range-picker.tsx'
import { SearchInput } from '../components/search-input.tsx'
import type { DeliveriesSearch } from './routes.ts'
import { shortUrl, statusClasses, type Webhook } from './status.ts'

const states = [
  { value: 'all', label: 'All states' },
  { value: 'pending', label: 'Pending' },
  { value: 'delivered', label: 'Delivered' },
  { value: 'dead', label: 'Dead' }
] as const

const statuses = [
  { value: 'all', label: 'All responses' },
  ...statusClasses.map(value => ({ value, label: value === 'none' ? 'No response' : value }))
] as const

/** The filters of the deliveries. They are part of the URL. */
export function DeliveriesToolbar ({
  search,
  webhooks,
  onChange
}: {
  search: DeliveriesSearch
  webhooks: readonly Webhook[]
  onChange: (changes: DeliveriesSearch) => void
}) {
  const endpoints = webhooks.map(({ id, url }) => ({ value: id, label: shortUrl(url) }))
  const known = endpoints.some(({ value }) => value === search.webhookId)
  return (
    <>
      <SearchInput value={search.topic} label='Topic' onChange={topic => onChange({ topic })} />
      <Select
        aria-label='State'
        className='w-auto!'
        choices={states}
        value={search.state ?? 'all'}
        onChange={state => onChange({ state: state === 'all' ? undefined : state })}
      />
      <Select
        aria-label='Last answer'
        className='w-auto!'
        choices={statuses}
        value={search.status ?? 'all'}
        onChange={status => onChange({ status: status === 'all' ? undefined : status })}
      />
      <Select
        aria-label='Endpoint'
        className='w-44!'
        choices={[
          { value: '', label: 'All endpoints' },
          ...endpoints,
          ...(search.webhookId === undefined || known ? [] : [{ value: search.webhookId, label: search.webhookId }])
        ]}
        value={search.webhookId ?? ''}
        onChange={webhookId => onChange({ webhookId: webhookId === '' ? undefined : webhookId })}
      />
      <RangePicker value={search} fallback='30d' onChange={onChange} />
      {search.eventId !== undefined && (
        <Button onClick={() => onChange({ eventId: undefined })} title='Show the deliveries of every event'>
          Event {search.eventId} ×
        </Button>
      )}
      <Checkbox
        label='All environments'
        checked={search.allEnvironments === true}
        onChange={event => onChange({ allEnvironments: event.target.checked ? true : undefined })}
      />
    </>
  )
}
