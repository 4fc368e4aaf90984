import type { Measurement } from './measure.ts'
import { startChild, type Child, type Methods } from './children.ts'
import type { PlatformServer } from './servers/platform.ts'

/** The resources that every row gets. */
export interface Context {
  /** One durable PostgreSQL that both sides of every row share. */
  databaseUrl: string
  /** Node arguments of the servers of both sides: those of `npm start`, and those of profiling. */
  serverArgv: string[]
}

export interface Row {
  name: string
  run (context: Context): Promise<Measurement[]>
}

/** Child processes of a row, stopped with it in reverse order. */
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

  /** Stops this with the children. */
  own (one: { stop (): Promise<void> }): void {
    this.#children.unshift(one)
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

/** Runs `work` with a cast, which is always stopped at the end. */
export async function withCast<T> (context: Context, work: (cast: Cast) => Promise<T>): Promise<T> {
  const cast = new Cast(context)
  try {
    return await work(cast)
  } finally {
    await cast.stop()
  }
}
