import { execFile } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import t from 'tap'
import { build, listen } from '../support/build.ts'
import { read } from '../support/repository.ts'
import { tenant } from '../support/tenant.ts'

/* Runs the commands of docs/SCHEMAS.md in their order, as printed. */

const run = promisify(execFile)

t.test('the commands of the guide work', async t => {
  const { app } = await build(t)
  const url = await listen(app)
  const shop = await tenant(app)
  await shop.topic('session.status')
  const folder = t.testdir()
  const blocks = [...read('docs/SCHEMAS.md').matchAll(/```sh\n([\s\S]*?)```/g)].map(([, block = '']) => block)
  t.ok(blocks.length >= 4)
  for (const block of blocks) {
    const script = `set -o pipefail\n${block.replaceAll('curl ', 'curl -sS --fail-with-body ').replace(' -fs ', ' ')}`
    const { stdout } = await run('bash', ['-c', script.replaceAll(' -f "', ' "')], {
      cwd: folder, env: { PATH: process.env['PATH'], URL: url, AUTH: `Bearer ${shop.token()}` }
    })
    t.notMatch(stdout, '"code"', block)
  }
  t.match(await readFile(join(folder, 'topics.ts'), 'utf8'), "'session.status': {\n    status: string")
})
