import type { Positions, PositionStore } from '../subscriptions/position.ts'

export interface IndexedDbStoreOptions {
  /** The name of the database. Name the user in it if several sign in with one browser. Default: `realtime`. */
  name?: string
  /** How long positions may wait before they are written, in milliseconds. Default: 100. */
  writeDelayMs?: number
}

export interface IndexedDbStore extends PositionStore {
  /** Writes what waits, and resolves when it is stored. */
  flush (): Promise<void>
}

const storeName = 'positions'

/**
 * Creates a store in IndexedDB, also for workers. It writes later, and only the latest position; at once when the page
 * is hidden or left. After a crash, the events of the last moments arrive again. Tabs share it, as with
 * `localStorageStore`.
 *
 * A subscription whose position cannot be read fails with `STORE_FAILED`. A failed write is reported with the next
 * position, and tried again.
 */
export function indexedDbStore ({ name = 'realtime', writeDelayMs = 100 }: IndexedDbStoreOptions = {}): IndexedDbStore {
  const waiting = new Map<string, Positions>()
  let opening: Promise<IDBDatabase> | undefined
  let timer: ReturnType<typeof setTimeout> | undefined
  let failed: { error: unknown } | undefined
  let isListening = false

  function open (): Promise<IDBDatabase> {
    const forget = () => { opening = undefined }
    opening ??= openDatabase(name, forget)
    opening.catch(forget)
    return opening
  }

  async function flush (): Promise<void> {
    clearTimeout(timer)
    timer = undefined
    const database = await open()
    const written = [...waiting]
    if (written.length === 0) return
    // From here on, a read waits for the transaction.
    waiting.clear()
    try {
      const transaction = database.transaction(storeName, 'readwrite', { durability: 'relaxed' })
      for (const [key, positions] of written) transaction.objectStore(storeName).put(positions, key)
      await new Promise((resolve, reject) => {
        transaction.oncomplete = resolve
        transaction.onabort = () => reject(transaction.error ?? new Error('The write was aborted'))
      })
    } catch (error) {
      for (const [key, positions] of written) if (!waiting.has(key)) waiting.set(key, positions)
      throw error
    }
  }

  const flushSoon = () => { flush().catch((error: unknown) => { failed = { error } }) }

  function listen (): void {
    if (isListening) return
    isListening = true
    for (const event of ['pagehide', 'visibilitychange']) globalThis.addEventListener?.(event, flushSoon)
  }

  return {
    flush,
    async get (key) {
      const database = await open()
      const position = waiting.get(key)
      if (position !== undefined) return { ...position }
      return await answerTo(database.transaction(storeName).objectStore(storeName).get(key)) as Positions | undefined
    },
    set (key, positions) {
      waiting.set(key, positions)
      timer ??= setTimeout(flushSoon, writeDelayMs)
      listen()
      if (failed === undefined) return
      const { error } = failed
      failed = undefined
      throw error
    }
  }
}

/** `onClose` is called when the database closes, for example because its data was cleared. */
async function openDatabase (name: string, onClose: () => void): Promise<IDBDatabase> {
  const request = indexedDB.open(name)
  request.onupgradeneeded = () => { request.result.createObjectStore(storeName) }
  const database = await answerTo(request)
  database.onclose = onClose
  database.onversionchange = () => { database.close(); onClose() }
  return database
}

function answerTo<T> (request: IDBRequest<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result)
    request.onerror = () => reject(request.error ?? new Error('IndexedDB failed'))
  })
}
