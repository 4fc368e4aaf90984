import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import t from 'tap'
import { lossProblems, sourceProblems, type SourceProblem } from '../../src/cdc/source/source.ts'
import { testKey } from '../support/build.ts'
import { createDatabase } from '../support/database.ts'
import { read, sources } from '../support/repository.ts'
import { dataFolder, start } from '../support/server-process.ts'
import { createSource } from '../support/source-database.ts'
import { generatedPart, table } from './generated.ts'

t.setTimeout(600_000)

t.test('docs/DATABASE.md has every problem of a connection', async t => {
  const rows = Object.entries(sourceProblems).map((
    [code, sentence]
  ) => [`\`${code}\``, sentence, lossProblems.has(code as SourceProblem) ? 'yes' : 'no'])
  const { found, wanted } = generatedPart(
    'docs/DATABASE.md', 'source-problems', table(['code', 'meaning', 'changes are lost'], rows)
  )
  t.equal(found, wanted, 'run the test with UPDATE_DOCS=1 to update it')
})

t.test('the source uses every problem', async t => {
  const text = [...sources('src/cdc').values()].join('\n')
  for (const code of Object.keys(sourceProblems)) t.ok(text.split(`'${code}'`).length > 1, code)
})

const hasShell = spawnSync('bash', ['-c', 'command -v curl && command -v psql']).status === 0

t.test('the example from a table to a promoted mapping runs as it is printed', {
  skip: hasShell ? false : 'bash, curl or psql is not installed'
}, async t => {
  const [, setUp = ''] = /## The first event in a minute\n[\s\S]*?```sh\n([\s\S]*?)```/.exec(read('README.md')) ?? []
  const [, section = ''] = /## From a table to a promoted mapping\n([\s\S]*?)\n## /.exec(read('docs/DATABASE.md')) ?? []
  const steps = [...section.matchAll(/```sh\n([\s\S]*?)```/g)].map(([, block = '']) => block)
  t.equal(steps.length, 5)
  const folder = await dataFolder(t)
  const server = await start(t, {
    dataDir: folder, variables: { DATABASE_URL: await createDatabase(t), ENCRYPTION_KEY: testKey }
  })
  const source = await createSource(t)
  const script = ['exec 2>&1', setUp.replace('PORT=3000', `PORT=${new URL(server.address).port}`), ...steps].join(
    '\necho === STEP\n'
  )
  const shell = spawn('bash', ['-c', script], {
    cwd: folder, env: { PATH: process.env['PATH'], HOME: folder, SHOP: source.url }
  })
  let output = ''
  for (const stream of [shell.stdout, shell.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => {
      output += text
    })
  }
  await once(shell, 'close')
  t.notMatch(output, /Error/)
  const answers = output.split('=== STEP\n').slice(2).map(step => step.trim().split('\n').map(line => JSON.parse(line)))
  const [connected, mapped, enabled, events, promoted] = answers
  t.match(connected, [{ publication: String, state: String }])
  const sql = 'ALTER TABLE "public"."sessions" REPLICA IDENTITY FULL;'
  t.match(mapped, [{ name: 'session.status' }, {
    problems: [{ code: 'REPLICA_IDENTITY', message: /old values of public\.sessions/, sql }]
  }])
  t.match(enabled, [{ active: true, problems: [] }])
  t.strictSame(enabled?.[0].problems, [])
  t.match(events, [[{ payload: { sessionId: 's1', status: 'active', was: null } }, {
    payload: { sessionId: 's1', status: 'ended', was: 'active' }
  }]])
  t.match(promoted, [
    {
      dryRun: true,
      checks: [{ name: 'topic', status: 'failed' }, { name: 'schema', status: 'ok' }, {
        name: 'table', status: 'warning'
      }]
    },
    { dryRun: false, to: 'staging', version: 1 },
    { name: 'session.status', environment: 'staging' },
    { environment: 'staging', active: true },
    { version: 1, table: 'sessions' }
  ])
})

t.test('the example in docs/DATABASE.md is a valid mapping', async t => {
  const { compileMapping } = await import('../../src/cdc/mappings/compiled-mapping.ts')
  const example = /```json\n([\s\S]*?)\n```/.exec(read('docs/DATABASE.md'))?.[1] ?? ''
  t.same([...compileMapping(JSON.parse(example)).columns.keys()].sort(), ['ended_at', 'id', 'status'])
})
