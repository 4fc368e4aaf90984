/** An answer to a request that is already JSON text, made once for all clients that receive the same. */
export class PreparedAnswer<T extends object = object> {
  /** The members of a JSON object, without its braces; at least one. */
  readonly fields: string
  declare protected readonly answer: T

  /** Takes the JSON text of each field. */
  constructor (texts: { [Field in keyof T]: string }) {
    this.fields = Object.entries(texts).map(([name, text]) => `"${name}":${text as string}`).join()
  }
}
