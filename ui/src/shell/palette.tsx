import { useQueries } from '@tanstack/react-query'
import { useNavigate } from '@tanstack/react-router'
import { Command } from 'cmdk'
import { Dialog as Radix } from 'radix-ui'
import { Children, useEffect, useRef, useState, type ReactNode } from 'react'
import type { Scope } from '../app/api.ts'
import { useMay, useMe } from '../app/me.ts'
import { get, useGet, useGlobal } from '../app/queries.ts'
import { scopePath, useScope } from '../app/scope.ts'
import { navigationFor } from './navigation.ts'

/** Finds pages, and topics, webhooks, documents and users by name. */
export function Palette ({ onClose }: { onClose: () => void }) {
  return (
    <Radix.Root
      open
      onOpenChange={open => {
        if (!open) onClose()
      }}
    >
      <Radix.Portal>
        <Radix.Overlay className='fixed inset-0 z-40 bg-black/40' />
        <Radix.Content
          aria-describedby={undefined}
          className='enter fixed top-[12vh] left-1/2 z-50 w-[calc(100vw-2rem)] max-w-xl -translate-x-1/2 overflow-hidden rounded border border-line bg-raised shadow-over'
        >
          <Radix.Title className='sr-only'>Search</Radix.Title>
          <Found onClose={onClose} />
        </Radix.Content>
      </Radix.Portal>
    </Radix.Root>
  )
}

function Found ({ onClose }: { onClose: () => void }) {
  const [q, setQ] = useState('')
  const [selected, setSelected] = useState('')
  const list = useRef<HTMLDivElement>(null)
  // The first result is selected after each key; cmdk would keep an item that is no longer there.
  useEffect(() => {
    setSelected(list.current?.querySelector('[cmdk-item]')?.getAttribute('data-value') ?? '')
  }, [q])
  const navigate = useNavigate()
  const scope = useScope()
  const me = useMe()
  const may = useMay()
  const sought = useSettled(q.trim())
  const isSearching = sought.length > 1
  const query = { query: { q: sought, limit: 8 } }
  const topics = useGet('/api/topics', query, { enabled: isSearching && scope !== null && may('topics:read') }).data
  const webhooks = useGet('/api/webhooks', query, {
    enabled: isSearching && scope !== null && may('webhooks:read')
  }).data
  const documents = useDocuments(isSearching ? sought : '')
  const users = useGlobal('/api/users', query, { enabled: isSearching && may('users:read') }).data
  return (
    <Command label='Search' shouldFilter={false} loop value={selected} onValueChange={setSelected}>
      <Command.Input
        value={q}
        onValueChange={setQ}
        placeholder='Go to a page, topic, webhook, document or user'
        className='h-11 w-full border-b border-line bg-transparent px-4 outline-none placeholder:text-muted'
      />
      <Command.List ref={list} className='max-h-96 overflow-auto p-1'>
        <Command.Empty className='px-3 py-6 text-center text-muted'>Nothing was found.</Command.Empty>
        {scope !== null && isSearching && (
          <>
            <Group label='Topics'>
              {topics?.map(({ name }) => (
                <Item
                  key={name}
                  value={`topic ${name}`}
                  onSelect={() => {
                    onClose()
                    void navigate({ to: `${scopePath}/topics/$name`, params: { ...scope, name } })
                  }}
                >
                  {name}
                </Item>
              ))}
            </Group>
            <Group label='Webhooks'>
              {webhooks?.map(({ id, url }) => (
                <Item
                  key={id}
                  value={`webhook ${id}`}
                  onSelect={() => {
                    onClose()
                    void navigate({ to: `${scopePath}/webhooks/$id`, params: { ...scope, id } })
                  }}
                >
                  {url}
                </Item>
              ))}
            </Group>
            <Group label='Documents'>
              {documents.map(({ service, id }) => (
                <Item
                  key={`${service}/${id}`}
                  value={`document ${service}/${id}`}
                  onSelect={() => {
                    onClose()
                    void navigate({ href: documentPath(scope, service, id) })
                  }}
                >
                  <span className='text-muted'>{service} /</span> {id}
                </Item>
              ))}
            </Group>
          </>
        )}
        {isSearching && (
          <Group label='Users'>
            {users?.map(({ id, name, email }) => (
              <Item
                key={id}
                value={`user ${id}`}
                onSelect={() => {
                  onClose()
                  void navigate({ to: '/users/$id', params: { id } })
                }}
              >
                {name} <span className='text-muted'>{email}</span>
              </Item>
            ))}
          </Group>
        )}
        <Group label='Pages'>
          {navigationFor(me, scope)
            .flatMap(({ items }) => items)
            .filter(({ label }) => label.toLowerCase().includes(q.trim().toLowerCase()))
            .map(({ label, linkIn, icon: Icon }) => (
              <Item
                key={label}
                value={`page ${label}`}
                onSelect={() => {
                  onClose()
                  void navigate(linkIn(scope))
                }}
              >
                <Icon size={14} className='text-muted' aria-hidden />
                {label}
              </Item>
            ))}
        </Group>
      </Command.List>
    </Command>
  )
}

const documentPath = ({ applicationId, environment }: Scope, service: string, id: string): string =>
  `/a/${applicationId}/${environment}/documents/${encodeURIComponent(service)}/${encodeURIComponent(id)}`

/** Returns documents of all services whose id contains the text. */
function useDocuments (q: string): { service: string; id: string }[] {
  const scope = useScope()
  const may = useMay()
  const isSearching = q !== '' && scope !== null && may('documents:read') && may('services:read')
  const services = useGet('/api/services', { query: { limit: 20 } }, { enabled: isSearching, staleTime: 60_000 }).data
  const results = useQueries({
    queries: (services?.services ?? []).map(({ name }) => ({
      ...get(scope, '/api/sync/{service}/documents', { path: { service: name }, query: { q, limit: 4 } }),
      enabled: isSearching
    }))
  })
  return results.flatMap(({ data }) => data ?? []).slice(0, 12)
}

/** Returns the text once nothing has been typed for a moment. */
function useSettled (text: string): string {
  const [settled, setSettled] = useState(text)
  useEffect(() => {
    const timer = setTimeout(() => setSettled(text), 150)
    return () => clearTimeout(timer)
  }, [text])
  return settled
}

const Group = ({ label, children }: { label: string; children: ReactNode }) =>
  Children.count(children) > 0 && (
    <Command.Group
      heading={label}
      className='[&_[cmdk-group-heading]]:px-3 [&_[cmdk-group-heading]]:py-1 [&_[cmdk-group-heading]]:text-xs [&_[cmdk-group-heading]]:text-muted'
    >
      {children}
    </Command.Group>
  )

const Item = ({ value, onSelect, children }: { value: string; onSelect: () => void; children: ReactNode }) => (
  <Command.Item
    value={value}
    onSelect={onSelect}
    className='flex h-8 cursor-default items-center gap-2 rounded-sm px-3 data-[selected=true]:bg-hover'
  >
    {children}
  </Command.Item>
)
