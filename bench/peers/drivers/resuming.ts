import type { ReceiptLedger } from '../ledger.ts'

/** A publisher beside the server, and a consumer whose connection is cut. */
export interface ResumingDriver {
  /** Subscribes through the proxy. Resolves when later events will arrive. */
  consume (proxyUrl: string, ledger: ReceiptLedger): Promise<void>
  /** Publishes numbers, in order. Resolves when the server has acknowledged them, if it does so. */
  publish (numbers: readonly number[]): Promise<void>
  close (): Promise<void>
}

/** The consumer tries to connect again after about this time, so that it is connected most of the time. */
export const reconnectMs = 20

/** Returns the address of the proxy in the form of another scheme. */
export const withScheme = (scheme: string, proxyUrl: string): string => `${scheme}://${new URL(proxyUrl).host}`
