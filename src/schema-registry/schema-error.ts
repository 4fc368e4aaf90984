/** A schema that the registry does not take. `reason` is a plain sentence for its author; `path` is a JSON Pointer into the schema. */
export class SchemaError extends Error {
  readonly reason: string
  readonly path: string

  constructor (reason: string, path = '', options?: ErrorOptions) {
    super(path === '' ? reason : `${reason} (at ${path})`, options)
    this.name = 'SchemaError'
    this.reason = this.message
    this.path = path
  }
}
