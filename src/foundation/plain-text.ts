/**
 * Control and formatting characters (ESC, bidi overrides), half surrogates, and separators that a terminal takes for
 * line breaks.
 */
const unprintable = /[\p{C}\p{Zl}\p{Zp}]/gu

/** Returns text of a client as one line that is safe to log and to store. */
export const plainText = (text: string, lengthMax: number): string =>
  text.slice(0, lengthMax).replaceAll(unprintable, '')
