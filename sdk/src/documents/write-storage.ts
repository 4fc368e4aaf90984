import type { PendingWrite } from './write.ts'

/** Keeps the writes of an offline queue. All tabs or processes that use it share one queue. */
export interface WriteStorage {
  /** Returns the writes in the order in which they were added. */
  list (): Promise<PendingWrite[]>
  /** Stores a write after the others, unless `max` are stored: then returns false. */
  add (write: PendingWrite, max: number): Promise<boolean>
  /** Replaces the write with the same idempotency key, if it is stored. Its place stays. */
  update (write: PendingWrite): Promise<void>
  remove (idempotencyKey: string): Promise<void>
}

/** Keeps writes until the process ends. */
export function memoryStorage (): WriteStorage {
  const writes = new Map<string, PendingWrite>()
  return {
    list: async () => structuredClone([...writes.values()]),
    async add (write, max) {
      if (writes.size >= max) return false
      writes.set(write.idempotencyKey, structuredClone(write))
      return true
    },
    async update (write) {
      if (writes.has(write.idempotencyKey)) writes.set(write.idempotencyKey, structuredClone(write))
    },
    async remove (key) { writes.delete(key) }
  }
}

/** Keeps writes in an IndexedDB database of this name. */
export function databaseStorage (name: string): WriteStorage {
  let opened: Promise<IDBDatabase> | undefined
  const open = () => new Promise<IDBDatabase>((resolve, reject) => {
    const request = indexedDB.open(name, 1)
    request.onupgradeneeded = () => {
      const store = request.result.createObjectStore('writes', { autoIncrement: true })
      store.createIndex('key', 'idempotencyKey', { unique: true })
    }
    request.onsuccess = () => resolve(request.result)
    request.onerror = () => {
      opened = undefined
      reject(request.error)
    }
  })

  /** Resolves when the transaction is committed, with the value given to `done`. */
  async function run<T> (
    mode: IDBTransactionMode, initial: T, act: (store: IDBObjectStore, done: (value: T) => void) => void
  ): Promise<T> {
    const database = await (opened ??= open())
    return await new Promise((resolve, reject) => {
      const transaction = database.transaction('writes', mode)
      let result = initial
      transaction.oncomplete = () => resolve(result)
      transaction.onabort = () => reject(transaction.error)
      act(transaction.objectStore('writes'), value => { result = value })
    })
  }

  /** Changes the write with this key, if it is stored. */
  const change = (key: string, act: (store: IDBObjectStore, place: IDBValidKey) => void) =>
    run<void>('readwrite', undefined, store => {
      const found = store.index('key').getKey(key)
      found.onsuccess = () => { if (found.result !== undefined) act(store, found.result) }
    })

  return {
    list: () => run<PendingWrite[]>('readonly', [], (store, done) => {
      const all: IDBRequest<PendingWrite[]> = store.getAll()
      all.onsuccess = () => done(all.result)
    }),
    add: (write, max) => run('readwrite', false, (store, done) => {
      const count = store.count()
      count.onsuccess = () => {
        if (count.result >= max) return
        store.add(write)
        done(true)
      }
    }),
    update: write => change(write.idempotencyKey, (store, place) => store.put(write, place)),
    remove: key => change(key, (store, place) => store.delete(place))
  }
}
