import { Search } from 'lucide-react'
import { useEffect, useState } from 'react'
import { controlLook } from './field.tsx'

/** A filter of a list. It is applied 250 ms after the last key. */
export function SearchInput ({
  value,
  onChange,
  label = 'Filter'
}: {
  value: string | undefined
  onChange: (value: string | undefined) => void
  label?: string
}) {
  const [text, setText] = useState(value ?? '')
  useEffect(() => {
    setText(value ?? '')
  }, [value])
  useEffect(() => {
    if (text === (value ?? '')) return
    const timer = setTimeout(() => onChange(text === '' ? undefined : text), 250)
    return () => clearTimeout(timer)
  }, [text, value, onChange])
  return (
    <div className='relative w-56'>
      <Search size={14} className='absolute top-2.5 left-2 text-muted' aria-hidden />
      <input
        type='search'
        aria-label={label}
        placeholder={label}
        value={text}
        className={`${controlLook} pl-7`}
        spellCheck={false}
        onChange={event => setText(event.target.value)}
        onKeyDown={event => {
          if (event.key === 'Escape') event.currentTarget.blur()
        }}
      />
    </div>
  )
}
