/** An answer to a request that is JSON text already: made once, for all who get the same. */
export class PreparedAnswer {
  /** The members of a JSON object, without its braces; at least one. */
  readonly fields: string

  constructor (fields: string) {
    this.fields = fields
  }
}
