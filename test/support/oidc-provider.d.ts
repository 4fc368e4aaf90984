/** The part of oidc-provider that tests use; the package has no types. */
declare module 'oidc-provider' {
  import type { IncomingMessage, ServerResponse } from 'node:http'

  class Grant {
    static find (id: string): Promise<Grant | undefined>
    constructor (of: { clientId: string, accountId: string })
    addOIDCScope (scope: string): void
    save (): Promise<string>
  }

  export default class Provider {
    constructor (issuer: string, configuration: object)
    readonly Grant: typeof Grant
    callback (): (request: IncomingMessage, response: ServerResponse) => void
    interactionFinished (
      request: IncomingMessage, response: ServerResponse, result: object, options?: object
    ): Promise<void>
    on (event: string, listener: (...args: unknown[]) => void): void
  }
}
