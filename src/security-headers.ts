/** For answers that are data, never a page: nothing of them is run, framed, guessed at or kept. The pages at `/docs` set their own. */
export const securityHeaders: Readonly<Record<string, string>> = {
  'x-content-type-options': 'nosniff',
  'x-frame-options': 'DENY',
  'content-security-policy': 'default-src \'none\'; frame-ancestors \'none\'',
  'referrer-policy': 'no-referrer',
  'cross-origin-resource-policy': 'same-site',
  'cache-control': 'no-store'
}
