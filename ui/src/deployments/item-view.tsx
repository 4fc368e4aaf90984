import { Link, type LinkProps } from '@tanstack/react-router'
import { useScopedLink, type ScopedLink } from '../app/scoped-link.ts'
import { Badge, type Tone } from '../components/badge.tsx'
import { Section } from '../components/page.tsx'
import { Checks } from './checks.tsx'
import { PatchView } from './patch-view.tsx'
import { kindWords, type Deployment, type Item } from './words.ts'

const effects: Record<Item['action'], readonly [Tone, string]> = {
  create: ['info', 'new'],
  update: ['warning', 'changed'],
  none: ['neutral', 'no change']
}

function linkOf ({ kind, name = '', id = '' }: Item, link: ScopedLink, environment: string): LinkProps {
  const params = { environment }
  if (kind === 'mapping') return link('/database/mappings/$id', { params: { ...params, id } })
  return kind === 'topic'
    ? link('/topics/$name', { params: { ...params, name } })
    : link('/schemas/$topic', { params: { ...params, topic: name } })
}

/** An item: its effect on the target as a diff, and its checks. */
export function ItemView ({ item, deployment: { source, target } }: { item: Item; deployment: Deployment }) {
  const link = useScopedLink()
  const { kind, name, id, version, action, targetVersion, diff, checks, note, compatibility } = item
  const [tone, effect] = effects[action]
  return (
    <Section
      title={
        <span className='flex flex-wrap items-center gap-2'>
          <span className='text-muted'>{kindWords[kind]}</span>
          <Link {...linkOf(item, link, source)} className='break-all hover:underline'>
            {name ?? id}
          </Link>
          {version !== null && (
            <span className='font-normal text-muted'>
              v{version}
              {targetVersion !== null && `, v${targetVersion} in ${target}`}
            </span>
          )}
        </span>
      }
      actions={<Badge tone={tone}>{effect}</Badge>}
    >
      <div className='grid grid-cols-[minmax(0,1fr)] gap-3'>
        {note !== undefined && <p className='text-muted'>{note}</p>}
        <PatchView patch={diff} label={`Changes of ${name ?? id}`} />
        {checks.length > 0 && <Checks checks={checks} />}
        {compatibility !== undefined && !compatibility.compatible && (
          <ul className='ml-6 list-disc pl-3'>
            {compatibility.changes
              .filter(({ compatible }) => !compatible)
              .map(({ path, message }, i) => (
                <li key={i} className='break-words'>
                  <code className='font-mono text-xs'>{path === '' ? '/' : path}</code> {message}
                </li>
              ))}
          </ul>
        )}
      </div>
    </Section>
  )
}
