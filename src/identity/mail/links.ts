/** Builds the links in mails. The base is never a request's `Host`, which the sender controls. */
export interface Links {
  /** The token follows the `#`, which browsers do not send to servers. */
  to (page: 'accept-invite' | 'reset-password', token: string): string
}

export function createLinks (baseUrl: () => string): Links {
  return { to: (page, token) => `${baseUrl().replace(/\/+$/, '')}/${page}#token=${token}` }
}
