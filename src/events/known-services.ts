const servicesMax = 10_000

/** Remembers services that exist in the database, so that a document of one does not create it again. */
export class KnownServices {
  readonly #keys = new Set<string>()

  has (applicationId: string, name: string): boolean {
    return this.#keys.has(`${applicationId}/${name}`)
  }

  add (applicationId: string, name: string): void {
    if (this.#keys.size >= servicesMax) this.#keys.clear()
    this.#keys.add(`${applicationId}/${name}`)
  }

  forget (applicationId: string, name: string): void {
    this.#keys.delete(`${applicationId}/${name}`)
  }

  forgetApplication (applicationId: string): void {
    for (const key of this.#keys) if (key.startsWith(`${applicationId}/`)) this.#keys.delete(key)
  }
}
