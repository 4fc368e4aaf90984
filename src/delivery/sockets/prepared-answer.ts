/** An answer to a request that is already JSON text, made once for all clients that receive the same. */
export class PreparedAnswer {
  /** The members of a JSON object, without its braces; at least one. */
  readonly fields: string

  constructor (fields: string) {
    this.fields = fields
  }
}
