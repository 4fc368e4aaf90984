import { invalid, isPlainObject } from '../../foundation/json.ts'
import { MissingColumnError, type NoteColumn } from './conditions.ts'
import { eventFields, missing, unavailable, type EventField, type RowChange, type Values } from './row-change.ts'

/** Builds a payload. Leaves out values that the stream did not carry, and adds their names to `lacking`. */
export type Template = (change: RowChange, lacking: string[]) => unknown

/** Builds a payload of the whole row. */
export const wholeRow: Template = (change, lacking) => {
  const payload: Record<string, unknown> = {}
  for (const column of change.row.columns) {
    const value = change.row.get(column)
    if (value === unavailable) lacking.push(column)
    else set(payload, column, value)
  }
  return payload
}

/**
 * Compiles a `payload`. A string that begins with `$row.`, `$old.` or `$event.` stands for a value; one that begins
 * with `$$` stands for itself without the first `$`. Throws ValidationError with the path of the invalid part.
 */
export function parseTemplate (payload: unknown, path: string, note: NoteColumn): Template {
  const part = parsePart(payload, path, note)
  return (change, lacking) => {
    const value = part(change, lacking)
    return value === unavailable ? null : value
  }
}

function parsePart (payload: unknown, path: string, note: NoteColumn): Template {
  if (typeof payload === 'string') return parseText(payload, path, note)
  if (Array.isArray(payload)) {
    const items = payload.map((item, i) => parsePart(item, `${path}/${i}`, note))
    // An item of an array becomes null instead of being left out, so that the others keep their places.
    return (change, lacking) => items.map(item => orNull(item(change, lacking)))
  }
  if (isPlainObject(payload)) {
    const members = Object.entries(payload).map(([key, value]) =>
      [key, parsePart(value, `${path}/${key.slice(0, 63)}`, note)] as const
    )
    return (change, lacking) => {
      const made: Record<string, unknown> = {}
      for (const [key, member] of members) {
        const value = member(change, lacking)
        if (value !== unavailable) set(made, key, value)
      }
      return made
    }
  }
  return () => payload
}

const orNull = (value: unknown) => value === unavailable ? null : value

/** Sets a property, even one named `__proto__`: a column may have any name. */
function set (object: Record<string, unknown>, key: string, value: unknown): void {
  if (key === '__proto__') {
    Object.defineProperty(object, key, { value, enumerable: true, configurable: true, writable: true })
  } else object[key] = value
}

const reference = /^\$(row|old|event)\.(.*)$/s

function parseText (text: string, path: string, note: NoteColumn): Template {
  if (text.startsWith('$$')) return () => text.slice(1)
  const [, source, name = ''] = reference.exec(text) ?? []
  if (source === undefined) return () => text
  if (source === 'event') {
    if (!eventFields.includes(name as EventField)) {
      throw invalid(path, `must name one of ${eventFields.join(', ')} after $event.`)
    }
    return change => change.event[name as EventField]
  }
  if (name === '') throw invalid(path, `must name a column after $${source}.`)
  note(name, path)
  if (source === 'row') return (change, lacking) => valueOf(change.row, name, name, lacking)
  return (change, lacking) => {
    if (change.operation === 'insert') return change.row.get(name) === missing ? absent(name) : null
    if (change.old === undefined) {
      lacking.push(`old.${name}`)
      return unavailable
    }
    return valueOf(change.old, name, `old.${name}`, lacking)
  }
}

function valueOf (values: Values, column: string, said: string, lacking: string[]): unknown {
  const value = values.get(column)
  if (value === missing) return absent(column)
  if (value === unavailable) lacking.push(said)
  return value
}

function absent (column: string): never {
  throw new MissingColumnError(column)
}
