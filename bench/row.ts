import type { Measurement } from './measure.ts'
import { startChild, type Child, type Methods } from './children.ts'
import type { PlatformServer } from './servers/platform.ts'

/** What every row is given. */
export interface Context {
  /** One durable PostgreSQL for both sides of every row. */
  databaseUrl: string
  /** Arguments of Node for the servers of both sides: as `npm start` gives them, and for profiles. */
  serverArgv: string[]
}

export interface Row {
  name: string
  run (context: Context): Promise<Measurement[]>
}

/** Children of a row, ended with it in reverse. */
export class Cast {
  readonly #children: { stop (): Promise<void> }[] = []
  readonly #context: Context

  constructor (context: Context) {
    this.#context = context
  }

  async platform (execArgv: string[] = [], variables: Record<string, string> = {}) {
    const child = await this.server<PlatformServer>('servers/platform', execArgv)
    return { child, ...await child.call('start', this.#context.databaseUrl, variables) }
  }

  async server<M extends Methods> (module: string, execArgv: string[] = []): Promise<Child<M>> {
    return await this.#start<M>(module, [...this.#context.serverArgv, ...execArgv])
  }

  async load<M extends Methods> (module: string): Promise<Child<M>> {
    return await this.#start<M>(module, [])
  }

  async #start<M extends Methods> (module: string, execArgv: string[]): Promise<Child<M>> {
    const child = await startChild<M>(module, { execArgv })
    this.#children.unshift(child)
    return child
  }

  async stop (): Promise<void> {
    for (const child of this.#children.splice(0)) await child.stop()
  }
}

/** Runs work with a cast that is dismissed at the end, whatever the end. */
export async function withCast<T> (context: Context, work: (cast: Cast) => Promise<T>): Promise<T> {
  const cast = new Cast(context)
  try {
    return await work(cast)
  } finally {
    await cast.stop()
  }
}
