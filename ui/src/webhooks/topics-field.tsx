import { X } from 'lucide-react'
import { useId, useState } from 'react'
import { Button } from '../components/button.tsx'
import { controlLook, Field } from '../components/field.tsx'

/** Topics and patterns of a webhook. Existing topics and the patterns over them are suggested while typing. */
export function TopicsField ({
  value,
  known,
  error,
  onChange
}: {
  value: readonly string[]
  known: readonly string[]
  error: string | undefined
  onChange: (topics: string[]) => void
}) {
  const [typed, setTyped] = useState('')
  const list = useId()
  const suggestions = suggestionsOf(known).filter(name => !value.includes(name))
  const add = (name: string) => {
    const topic = name.trim()
    if (topic !== '' && !value.includes(topic)) onChange([...value, topic])
    setTyped('')
  }
  return (
    <Field
      label='Topics'
      error={error}
      hint='Topics or patterns: * stands for one word, ** at the end for the rest. None: every topic.'
    >
      {props => (
        <div className='grid gap-2'>
          {value.length > 0 && (
            <ul className='flex flex-wrap gap-1' aria-label='Chosen topics'>
              {value.map(topic => (
                <li
                  key={topic}
                  className='inline-flex items-center gap-0.5 rounded-sm bg-sunken pl-2 font-mono text-xs'
                >
                  {topic}
                  <button
                    type='button'
                    aria-label={`Remove ${topic}`}
                    className='inline-grid size-6 place-items-center text-muted hover:text-text'
                    onClick={() => onChange(value.filter(one => one !== topic))}
                  >
                    <X size={12} aria-hidden />
                  </button>
                </li>
              ))}
            </ul>
          )}
          <div className='flex gap-2'>
            <input
              {...props}
              className={controlLook}
              list={list}
              autoComplete='off'
              spellCheck={false}
              placeholder='order.*'
              value={typed}
              onChange={event => setTyped(event.target.value)}
              onKeyDown={event => {
                if (event.key !== 'Enter' || event.metaKey || event.ctrlKey || typed.trim() === '') return
                event.preventDefault()
                add(typed)
              }}
              onBlur={() => add(typed)}
            />
            <Button onClick={() => add(typed)} disabled={typed.trim() === ''}>
              Add topic
            </Button>
          </div>
          <datalist id={list}>
            {suggestions.map(name => (
              <option key={name} value={name} />
            ))}
          </datalist>
        </div>
      )}
    </Field>
  )
}

/** Returns the topics, preceded by the patterns that cover at least two of them. */
export function suggestionsOf (topics: readonly string[]): string[] {
  const counts = new Map<string, number>()
  for (const topic of topics) {
    const parts = topic.split('.')
    if (parts.length < 2) continue
    const pattern = `${parts[0]}.${parts.length === 2 ? '*' : '**'}`
    counts.set(pattern, (counts.get(pattern) ?? 0) + 1)
  }
  return [...[...counts].filter(([, count]) => count > 1).map(([pattern]) => pattern), ...topics]
}
