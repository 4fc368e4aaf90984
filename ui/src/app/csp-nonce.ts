/** The nonce that style elements need. Vite writes the element; the platform sets a new nonce for each page. */
export const cspNonce = document.querySelector<HTMLMetaElement>('meta[property="csp-nonce"]')?.nonce ?? ''
