/**
 * A schema that the registry does not take. `sentence` is for its author; `path` is a JSON Pointer into the schema,
 * which `reason` and the message name as well.
 */
export class SchemaError extends Error {
  readonly sentence: string
  readonly reason: string
  readonly path: string

  constructor (sentence: string, path = '', options?: ErrorOptions) {
    super(path === '' ? sentence : `${sentence} (at ${path})`, options)
    this.name = 'SchemaError'
    this.sentence = sentence
    this.reason = this.message
    this.path = path
  }
}
