/**
 * Control and formatting characters (ESC, bidi overrides), lone surrogates, and separators that terminals treat as line
 * breaks.
 */
const unprintable = /[\p{C}\p{Zl}\p{Zp}]/gu

/** Returns a client's text as one line that is safe to log and to store. */
export const plainText = (text: string, lengthMax: number): string =>
  text.slice(0, lengthMax).replaceAll(unprintable, '')
