/**
 * Returns the first part of the names of the types of a topic: `OrderPlaced` for `order.placed`. Different topics have
 * different parts: `a.1` has `A_1`, `a1` has `A1`.
 */
export function topicPart (topic: string): string {
  return `.${topic}`.replace(/\.(.?)|[_-]/g, (found, next: string | undefined) => {
    if (next === undefined) return found === '_' ? '$_' : '$$'
    if (/[a-z]/.test(next)) return next.toUpperCase()
    return `_${next === '_' ? '$_' : next === '-' ? '$$' : next}`
  })
}

const localLengthMax = 60

/**
 * Names the types of one schema after the last part of their pointers. The names start with those of the topic, so that
 * they are unique in a file with many topics.
 */
export class TypeNames {
  readonly #topic: string
  readonly #taken = new Map<string, number>()

  constructor (topic: string) {
    this.#topic = topicPart(topic)
  }

  /** Returns a name that no other type has. */
  next (pointer: string): string {
    const local = localPart(pointer)
    const count = (this.#taken.get(local) ?? 0) + 1
    this.#taken.set(local, count)
    return `${this.#topic}_${local}${count === 1 ? '' : `_${count}`}`
  }
}

/** Returns a name that starts with a capital: `Address` for `/$defs/address`, `Items3` for `/items/3`. */
function localPart (pointer: string): string {
  const tokens = pointer.split('/').slice(1)
  const last = tokens.at(-1) ?? 'root'
  const named = /^\d+$/.test(last) ? `${tokens.at(-2) ?? ''} ${last}` : last
  const words = named.split(/[^A-Za-z0-9]+/).filter(word => word !== '')
  const joined = words.map(word => word.charAt(0).toUpperCase() + word.slice(1)).join('').slice(0, localLengthMax)
  return /^[A-Z]/.test(joined) ? joined : `Type${joined}`
}
