import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { basename, dirname, extname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { Marked } from 'marked'
import { gfmHeadingId } from 'marked-gfm-heading-id'
import { Asset } from './assets.ts'
import { installFolder } from '../version.ts'

const title = 'Realtime Platform'
const guideTitles: Record<string, string> = {
  'PROTOCOL.md': 'Socket protocol',
  'AUTH.md': 'Auth',
  'ERRORS.md': 'Errors',
  'ALERTS.md': 'Alerts',
  'DATABASE.md': 'Databases',
  'PROMOTION.md': 'Deployments',
  'WEBHOOKS.md': 'Webhooks',
  'QUOTAS.md': 'Quotas and retention',
  'DEBUGGER.md': 'Debugger',
  'PERFORMANCE.md': 'Performance'
}

/**
 * Returns the pages below `/docs` by path. Each is rendered at its first request: the reference, which Scalar's bundle
 * renders from `/openapi.json`, and the guides of the folder `docs` with their images. The pages load nothing from
 * other hosts.
 */
export function createDocsPages (): Map<string, () => Asset> {
  const folder = guidesFolder()
  const names = folder === undefined ? [] : readdirSync(folder).filter(name => name.endsWith('.md')).sort()
  const images = folder === undefined ? [] : imagesIn(join(folder, 'images'))
  const nav = navigation(names)
  const guide = (name: string) => {
    const html = markdown(new Set(names)).parse(readFileSync(join(folder ?? '', name), 'utf8'), { async: false })
    return htmlPage(`${guideTitles[name] ?? name} · ${title}`, `${nav}<main class="guide">${html}</main>`)
  }
  const scripts = '<script src="/docs/reference.js"></script><script src="/docs/start.js"></script>'
  return new Map([
    ['', once(() => htmlPage(title, `${nav}<div id="reference"></div>${scripts}`))],
    ['/reference.js', once(() => new Asset(readFileSync(bundlePath()), 'text/javascript; charset=utf-8'))],
    ['/start.js', once(() => new Asset(startScript, 'text/javascript; charset=utf-8'))],
    ['/docs.css', once(() => new Asset(styles, 'text/css; charset=utf-8'))],
    ...names.map(name => [`/${name}`, once(() => guide(name))] as const),
    ...images.map(path => {
      const type = imageTypes[extname(path)] ?? ''
      return [`/images/${basename(path)}`, once(() => new Asset(readFileSync(path), type))] as const
    })
  ])
}

const imageTypes: Record<string, string> = { '.png': 'image/png', '.svg': 'image/svg+xml' }

const imagesIn = (folder: string): string[] =>
  existsSync(folder)
    ? readdirSync(folder).filter(name => extname(name) in imageTypes).map(name => join(folder, name))
    : []

function once (make: () => Asset): () => Asset {
  let asset: Asset | undefined
  return () => {
    asset ??= make()
    return asset
  }
}

const bundlePath = () =>
  join(dirname(fileURLToPath(import.meta.resolve('@scalar/fastify-api-reference'))), 'js/standalone.js')

/** Returns the folder `docs`, or undefined if the documents are not installed. */
const guidesFolder = () => [join(installFolder, 'docs')].find(path => existsSync(join(path, 'PROTOCOL.md')))

/**
 * Keeps links to other guides and other sites. Links into the repository become plain text, because the server does not
 * serve those files.
 */
function markdown (guides: ReadonlySet<string>): Marked {
  return new Marked(gfmHeadingId(), {
    renderer: {
      link ({ href, tokens }) {
        const text = this.parser.parseInline(tokens)
        const [file = ''] = href.split('#', 1)
        const isServed = file === '' || /^https?:/.test(file) || (file === basename(file) && guides.has(file))
        return isServed ? `<a href="${href}">${text}</a>` : text
      }
    }
  })
}

function navigation (guides: readonly string[]): string {
  const links = Object.entries(guideTitles).filter(([name]) => guides.includes(name))
    .map(([name, text]) => `<a href="/docs/${name}">${text}</a>`)
  return `<header class="top"><a class="name" href="/docs">${title}</a><nav>${
    links.join('')
  }<a href="/openapi.json">openapi.json</a><a href="/asyncapi.json">asyncapi.json</a></nav></header>`
}

const htmlPage = (name: string, body: string) =>
  new Asset(
    [
      '<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" ' +
        'content="width=device-width, initial-scale=1">',
      `<title>${name}</title><link rel="icon" href="data:,"><link rel="stylesheet" href="/docs/docs.css"></head>` +
        `<body>${body}</body></html>`
    ].join('\n'),
    'text/html; charset=utf-8'
  )

const startScript = `Scalar.createApiReference('#reference', ${JSON.stringify({
  url: '/openapi.json',
  metaData: { title },
  authentication: { preferredSecurityScheme: 'token' },
  defaultHttpClient: { targetKey: 'shell', clientKey: 'curl' },
  withDefaultFonts: false,
  hideClientButton: true,
  showDeveloperTools: 'never',
  agent: { disabled: true },
  mcp: { disabled: true },
  telemetry: false,
  proxyUrl: '',
  persistAuth: false
}, null, 2)})
`

const styles =
  `:root { color-scheme: light dark; --scalar-custom-header-height: 44px;
  --line: light-dark(#dfdfdf, #2d2d2d); --page: light-dark(#fff, #0f0f0f) }
body { margin: 0; background: var(--page) }
.top, .guide { font: 15px/1.6 ui-sans-serif, system-ui, sans-serif; color: light-dark(#1b1b1b, #e7e7e7) }
.top { position: sticky; top: 0; z-index: 100; box-sizing: border-box; height: 44px; padding: 0 20px;
  display: flex; gap: 28px; align-items: center;
  background: var(--page); border-bottom: 1px solid var(--line); white-space: nowrap; overflow-x: auto }
.top a { color: inherit; text-decoration: none } .top a:hover { text-decoration: underline }
.top .name { font-weight: 600 } .top nav { display: flex; gap: 20px; font-size: 14px }
body.light-mode { color-scheme: light } body.dark-mode { color-scheme: dark }
.guide { max-width: 900px; margin: 0 auto; padding: 24px 20px 80px }
.guide a { color: light-dark(#0066c0, #4eb3ec) }
.guide h1, .guide h2, .guide h3 { line-height: 1.25; scroll-margin-top: 60px }
.guide code, .guide pre { font: 13px/1.5 ui-monospace, Menlo, Consolas, monospace;
  background: light-dark(#f6f6f6, #1a1a1a); border-radius: 4px }
.guide code { padding: 1px 4px } .guide pre { padding: 12px 14px; overflow-x: auto }
.guide pre code { padding: 0; background: none }
.guide img { max-width: 100%; border: 1px solid var(--line); border-radius: 6px }
.guide table { border-collapse: collapse; display: block; overflow-x: auto }
.guide th, .guide td { border: 1px solid var(--line); padding: 5px 10px; text-align: left; vertical-align: top }
/* An operation fits on a screen: its responses are beside it, as tabs, and need no second list. */
#reference .references-rendered .section { padding-block: 24px }
#reference .operation-details .mt-6 { margin-top: 8px }
#reference .operation-details .mt-6:has(> ul[aria-label="Responses"]) { display: none }
#reference .operation-details .property { padding-block: 6px }
#reference .operation-details .markdown { font-size: 14px; line-height: 1.45 }
#reference .operation-details .property-enum-values { display: flex; flex-wrap: wrap; gap: 0 16px; margin: 0 }
#reference .operation-details .property-enum-value { padding: 0 }
#reference .operation-details .property-enum-value::before { display: none }
#reference .operation-details .property-enum-value::after,
#reference .operation-details .property-enum-value *::before { display: none }
`
