/** Where links in mail lead. Never by a request's `Host`, which its sender chooses. */
export interface Links {
  /** The token stands behind the `#`, which browsers send to no server. */
  to (page: 'accept-invite' | 'reset-password', token: string): string
}

export function createLinks (baseUrl: () => string): Links {
  return { to: (page, token) => `${baseUrl().replace(/\/+$/, '')}/${page}#token=${token}` }
}
