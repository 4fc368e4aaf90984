import { Link, type LinkProps } from '@tanstack/react-router'
import type { Scope } from '../app/api.ts'
import { scopePath } from '../app/scope.ts'
import { useReach } from '../people/names.ts'

/** Pages to go on with. */
export function NextLinks ({ scope, topic }: { scope: Scope; topic: string }) {
  const reach = useReach()
  const may = (permission: string) => reach.in(scope.applicationId, permission)
  const params = { ...scope }
  const links: readonly (readonly [title: string, words: string, link: LinkProps, isShown: boolean])[] = [
    [
      'Explore the events',
      'Filter, seek and follow the log of the topic.',
      { to: `${scopePath}/topics/$name`, params: { ...params, name: topic } } as LinkProps,
      may('topics:read')
    ],
    [
      'Give the topic a schema',
      'Payloads that do not match are refused, with the reason.',
      { to: `${scopePath}/schemas`, params } as LinkProps,
      may('schemas:read')
    ],
    [
      'Send events to a webhook',
      'Signed, retried, and shown attempt by attempt.',
      { to: `${scopePath}/webhooks`, params } as LinkProps,
      may('webhooks:read')
    ],
    [
      'Connect a database',
      'Changes of rows become events.',
      { to: `${scopePath}/database`, params } as LinkProps,
      may('mappings:read')
    ],
    ['Invite your team', 'With a role for this application.', { to: '/users' }, reach.anywhere('invites:create')],
    [
      'Call the API',
      'Every route, with examples that work.',
      { to: `${scopePath}/api-reference`, params } as LinkProps,
      true
    ]
  ]
  return (
    <li className='list-none'>
      <h2 className='mb-2 text-lg font-semibold'>Next steps</h2>
      <ul className='grid gap-2 sm:grid-cols-2'>
        {links
          .filter(([, , , isShown]) => isShown)
          .map(([title, words, link]) => (
            <li key={title}>
              <Link {...link} className='block h-full rounded border border-line bg-surface px-3 py-2 hover:bg-hover'>
                <span className='block font-medium'>{title}</span>
                <span className='text-muted'>{words}</span>
              </Link>
            </li>
          ))}
      </ul>
    </li>
  )
}
