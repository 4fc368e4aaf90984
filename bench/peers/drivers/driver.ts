/** Publishes through one kind of server. */
export interface PublishDriver {
  /** Publishes that many events, as one batch where the server has batches. Resolves when all are acknowledged. */
  publish (count: number): Promise<void>
  /** Deletes the stored events, and returns how many there were. */
  clear (): Promise<number>
  close (): Promise<void>
}

/** About 200 bytes of JSON, the payload of every event in the contest. */
export const payload = {
  sessionId: 'sess_0123456789abcdef', status: 'active', participants: 4,
  title: 'The quick brown fox jumps over the lazy dog', tags: ['a', 'b', 'c'],
  owner: { id: 'usr_0123456789abcdef', name: 'Somebody' }
}
