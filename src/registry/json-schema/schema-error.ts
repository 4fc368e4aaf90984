/**
 * Thrown for a schema that the registry refuses. `sentence` is the reason for its author. `path` is a JSON Pointer into
 * the schema, which `reason` and the message include.
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
