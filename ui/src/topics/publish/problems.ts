import type { RealtimeError } from '@realtime-platform/client'

/** The problems of a payload by JSON Pointer into it. */
export type Problems = readonly { readonly pointer: string; readonly message: string }[]

const prefix = '/payload'

/** Returns the problems of a refused payload. A missing property is a problem of its own field. */
export function problemsOf (error: RealtimeError | null): Problems {
  return (error?.details ?? []).flatMap(({ path = '', message = '' }) => {
    if (path !== prefix && !path.startsWith(`${prefix}/`)) return []
    const missing = /required property '(.+)'/.exec(message)?.[1]
    const pointer = path.slice(prefix.length)
    if (missing === undefined) return [{ pointer, message }]
    return [{ pointer: `${pointer}/${missing}`, message: 'is required' }]
  })
}

export const problemAt = (problems: Problems, pointer: string): string | undefined =>
  problems.find(problem => problem.pointer === pointer)?.message

/** Returns the problems of an object that none of its declared fields shows. */
export function problemsOfObject (problems: Problems, pointer: string, names: readonly string[]): string[] {
  return problems.flatMap(problem => {
    if (problem.pointer === pointer) return [problem.message]
    if (!problem.pointer.startsWith(`${pointer}/`)) return []
    const name = problem.pointer.slice(pointer.length + 1).split('/')[0] ?? ''
    return names.includes(name) ? [] : [`${name} ${problem.message}`]
  })
}
