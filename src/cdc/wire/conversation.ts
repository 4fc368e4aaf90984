import {
  checkAuthentication,
  checkCommand,
  checkCopyBoth,
  checkDataRow,
  checkEmpty,
  checkFields,
  checkKey,
  checkNotification,
  checkParameter,
  checkReady,
  checkRowDescription,
  checkStreamed,
  type AuthenticationStep,
  type Shape
} from './message-shapes.ts'
import { ProtocolError } from './protocol-error.ts'

export interface WireLimits {
  /**
   * The longest message of a replication stream: one row change with its old values. Only the start of a longer one is
   * read.
   */
  messageBytesMax: number
  /** The limit for a whole result, including the memory for its rows and fields. */
  resultBytesMax: number
}

export const defaultWireLimits: WireLimits = { messageBytesMax: 64 * 1024 * 1024, resultBytesMax: 32 * 1024 * 1024 }

type Phase = 'authentication' | 'starting' | 'ready' | 'streaming'

/** PostgreSQL sends no longer message in a stream. */
const streamedBytesMax = 2 ** 30
/** The limit before authentication; libpq allows 30,000 bytes for an error. */
const startMessageBytesMax = 32 * 1024
const startBytesMax = 256 * 1024
/** An error may quote a statement and values of a row. */
const noticeBytesMax = 1024 * 1024
/** Enough for 1664 columns with names of 63 bytes. */
const descriptionBytesMax = 256 * 1024
const smallBytesMax = 32 * 1024
/** Limits for notices, parameters, notifications and errors between two other messages. */
const asidesMax = { count: 1000, bytes: 4 * 1024 * 1024 }
/** The memory that a message, a described field and a value take beyond their bytes. */
const overheadBytes = { message: 64, described: 256, value: 32 }

const code = (letter: string) => letter.charCodeAt(0)
const [authentication, parameter, key, error, notice, notification, ready] = ['R', 'S', 'K', 'E', 'N', 'A', 'Z'].map(
  code
)
const [description, row, command, emptyQuery, parsed, bound, noData, copyBoth, copyData, copyDone] = [
  'T', 'D', 'C', 'I', '1', '2', 'n', 'W', 'd', 'c'
].map(code)
const [simpleQuery, sync] = ['Q', 'S'].map(code)

const shapes = new Map<number | undefined, Shape>([
  [parameter, checkParameter],
  [key, checkKey],
  [error, checkFields],
  [notice, checkFields],
  [notification, checkNotification],
  [ready, checkReady],
  [command, checkCommand],
  [emptyQuery, checkEmpty],
  [parsed, checkEmpty],
  [bound, checkEmpty],
  [noData, checkEmpty],
  [copyBoth, checkCopyBoth],
  [copyData, checkStreamed],
  [copyDone, checkEmpty]
])
const asides = new Set([parameter, error, notice, notification])
const answers = new Set([description, row, command, emptyQuery, parsed, bound, noData])

/** The steps of authentication that may follow each step. */
const authenticationOrder: Record<AuthenticationStep | 'none', readonly AuthenticationStep[]> = {
  none: ['ok', 'password', 'sasl'],
  password: ['ok'],
  sasl: ['saslContinue'],
  saslContinue: ['saslFinal'],
  saslFinal: ['ok'],
  ok: []
}

/**
 * Tracks which messages a server may send next, from the start of a session to its end. Every method throws
 * ProtocolError, after which the session cannot continue.
 */
export class Conversation {
  readonly #limits: WireLimits
  readonly #mayStream: boolean
  #phase: Phase = 'authentication'
  #step: AuthenticationStep | 'none' = 'none'
  /** Queries that the server has not finished. */
  #outstanding = 0
  #described: number | undefined
  #answerBytes = 0
  #asides = 0
  #asideBytes = 0

  constructor (limits: WireLimits, mayStream: boolean) {
    this.#limits = limits
    this.#mayStream = mayStream
  }

  /** Records a message of the client by its first byte. */
  sent (type: number | undefined): void {
    if (this.#phase === 'ready' && (type === simpleQuery || type === sync)) this.#outstanding++
  }

  /** Checks whether a message of this type and length (without its header of five bytes) may come now. */
  admit (type: number, length: number): void {
    if (!this.#isExpected(type)) throw new ProtocolError('A message is unknown or not expected now')
    if (length < 0) throw new ProtocolError('A message declares a negative length')
    if (length > this.#longest(type)) {
      throw new ProtocolError(
        `A message declares ${length} bytes; the limit is ${this.#longest(type)}`
      )
    }
  }

  /** Returns whether an admitted message is to be replaced by a short one: a row change that exceeds the limit. */
  isOverlong (type: number, length: number): boolean {
    return type === copyData && length > this.#limits.messageBytesMax
  }

  /** Checks an admitted message that is complete. */
  check (type: number, buffer: Buffer, start: number, end: number): void {
    if (asides.has(type)) this.#countAside(end - start)
    else if (type === copyData) this.#asides = this.#asideBytes = 0
    else this.#countAnswer(type, end - start)
    if (type === authentication) return this.#authenticate(checkAuthentication(buffer, start, end))
    if (type === description) this.#described = this.#describe(checkRowDescription(buffer, start, end))
    else if (type === row) this.#row(checkDataRow(buffer, start, end))
    else (shapes.get(type) as Shape)(buffer, start, end)
    this.#follow(type)
  }

  #isExpected (type: number): boolean {
    switch (this.#phase) {
      case 'authentication': return type === authentication || type === error || type === notice
      case 'starting': return type === key || type === ready || (asides.has(type) && type !== notification)
      case 'streaming': return type === copyData || type === copyDone || asides.has(type)
      case 'ready':
        if (asides.has(type)) return true
        return this.#outstanding > 0 && (answers.has(type) || type === ready || (type === copyBoth && this.#mayStream))
    }
  }

  #longest (type: number): number {
    if (this.#phase === 'authentication' || this.#phase === 'starting') return startMessageBytesMax
    if (type === copyData) return streamedBytesMax
    if (type === row) return this.#limits.resultBytesMax
    if (type === error || type === notice) return noticeBytesMax
    return type === description ? descriptionBytesMax : smallBytesMax
  }

  #countAside (bytes: number): void {
    this.#asides++
    this.#asideBytes += bytes
    const isStarting = this.#phase === 'authentication' || this.#phase === 'starting'
    if (this.#asides > asidesMax.count || this.#asideBytes > (isStarting ? startBytesMax : asidesMax.bytes)) {
      throw new ProtocolError('The server sends too many notices between two messages')
    }
  }

  #countAnswer (type: number, bytes: number): void {
    this.#answerBytes += bytes + overheadBytes.message
    if (this.#answerBytes > this.#limits.resultBytesMax) {
      throw new ProtocolError(`A result exceeds the limit of ${this.#limits.resultBytesMax} bytes`)
    }
    if (type === ready) this.#answerBytes = 0
  }

  #authenticate (step: AuthenticationStep): void {
    if (!authenticationOrder[this.#step].includes(step)) {
      throw new ProtocolError('A step of the authentication is not expected now')
    }
    this.#step = step
    if (step === 'ok') this.#phase = 'starting'
  }

  #describe (fields: number): number {
    this.#answerBytes += fields * overheadBytes.described
    return fields
  }

  #row (fields: number): void {
    if (fields !== this.#described) throw new ProtocolError('A row does not have the described fields')
    this.#answerBytes += fields * overheadBytes.value
  }

  #follow (type: number): void {
    if (type === ready) {
      if (this.#phase === 'ready') this.#outstanding--
      this.#phase = 'ready'
      this.#described = undefined
      this.#asides = this.#asideBytes = 0
    } else if (type === copyBoth) this.#phase = 'streaming'
    else if (this.#phase === 'streaming' && (type === copyDone || type === error)) this.#phase = 'ready'
    else if (type === command) this.#described = undefined
  }
}
