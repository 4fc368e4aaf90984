/** A path of this console: a link must not lead away after signing in. */
export const ownPath = (path: string | null | undefined): string =>
  typeof path === 'string' && /^\/(?![/\\])/.test(path) && !/^\/(login|setup)\b/.test(path) ? path : '/'
