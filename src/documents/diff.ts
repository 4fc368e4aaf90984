import { isPlainObject } from '../foundation/json.ts'
import { escapeToken } from './json-pointer.ts'

/** A patch up to this length is kept even for a smaller document: it is more useful than a replacement. */
const patchLengthFree = 4096

/**
 * Returns the JSON text of an RFC 6902 patch that turns `before` into `after`. `afterText` is the JSON of `after`. When
 * the patch grows longer than the document, returns a replacement of the whole instead: removing the first item of a
 * list without shared items would otherwise need 20 times the document's size. Subtrees that both share cost nothing.
 */
export function diffText (before: unknown, after: unknown, afterText: string): string {
  const patch = new PatchText(Math.max(patchLengthFree, afterText.length))
  patch.compare(before, after, '')
  return patch.isTooLong ? `[{"op":"replace","path":"","value":${afterText}}]` : `[${patch.text}]`
}

/** Returns the patch of a created document, which applies to nothing. */
export const createdDiffText = (dataText: string): string => `[{"op":"add","path":"","value":${dataText}}]`
export const deletedDiffText = '[{"op":"remove","path":""}]'

/** Collects operations until they are longer than the limit. */
class PatchText {
  text = ''
  readonly #lengthMax: number

  constructor (lengthMax: number) {
    this.#lengthMax = lengthMax
  }

  get isTooLong (): boolean { return this.text.length > this.#lengthMax }

  compare (before: unknown, after: unknown, path: string): void {
    if (before === after || this.isTooLong) return
    if (Array.isArray(before) && Array.isArray(after)) this.#compareArrays(before, after, path)
    else if (isPlainObject(before) && isPlainObject(after)) this.#compareObjects(before, after, path)
    else this.#write('replace', path, after)
  }

  #compareObjects (before: Record<string, unknown>, after: Record<string, unknown>, path: string): void {
    for (const key of Object.keys(before)) {
      if (!Object.hasOwn(after, key)) this.#write('remove', `${path}/${escapeToken(key)}`)
      else if (before[key] !== after[key]) this.compare(before[key], after[key], `${path}/${escapeToken(key)}`)
      if (this.isTooLong) return
    }
    for (const key of Object.keys(after)) {
      if (Object.hasOwn(before, key)) continue
      this.#write('add', `${path}/${escapeToken(key)}`, after[key])
      if (this.isTooLong) return
    }
  }

  /** Keeps the items that both arrays share at the front and at the end, and compares the rest in pairs. */
  #compareArrays (before: unknown[], after: unknown[], path: string): void {
    const shorter = Math.min(before.length, after.length)
    let start = 0
    while (start < shorter && before[start] === after[start]) start++
    let end = 0
    while (end < shorter - start && before[before.length - 1 - end] === after[after.length - 1 - end]) end++
    const paired = shorter - end
    for (let i = start; i < paired && !this.isTooLong; i++) {
      if (before[i] !== after[i]) this.compare(before[i], after[i], `${path}/${i}`)
    }
    for (let i = before.length - end - 1; i >= paired && !this.isTooLong; i--) this.#write('remove', `${path}/${i}`)
    for (let i = paired; i < after.length - end && !this.isTooLong; i++) this.#write('add', `${path}/${i}`, after[i])
  }

  #write (op: 'add' | 'replace' | 'remove', path: string, value?: unknown): void {
    const operation = `{"op":"${op}","path":${JSON.stringify(path)}${
      op === 'remove' ? '' : `,"value":${JSON.stringify(value)}`
    }}`
    this.text = this.text === '' ? operation : `${this.text},${operation}`
  }
}
