import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { symlink } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { testKey } from '../support/build.ts'
import { createDatabase } from '../support/database.ts'
import { read, root } from '../support/repository.ts'
import { dataFolder, start } from '../support/server-process.ts'

/* Runs the README's first event as printed. */

const hasShell = spawnSync('bash', ['-c', 'command -v curl']).status === 0

t.test("the README's first event arrives, and its commands can be run twice", {
  skip: hasShell ? false : 'bash or curl is not installed'
}, async t => {
  const [, section = ''] = /## The first event in a minute\n([\s\S]*?)\n## /.exec(read('README.md')) ?? []
  const [setUp = '', subscribe = '', publish = ''] = [...section.matchAll(/```sh\n([\s\S]*?)```/g)].map((
    [, block = '']
  ) => block)
  const folder = await dataFolder(t)
  await symlink(join(root, 'node_modules'), join(folder, 'node_modules'))
  const server = await start(t, {
    dataDir: folder, variables: { DATABASE_URL: await createDatabase(t), ENCRYPTION_KEY: testKey }
  })
  const { port } = new URL(server.address)
  t.match(setUp, /^PORT=3000;/, 'the port is in one place')
  const script = [
    setUp.replace('PORT=3000', `PORT=${port}`),
    subscribe.replace(/&\s*$/, '> out &'),
    'subscriber=$!',
    'until grep -q ^subscribed out; do sleep 0.1; done',
    publish,
    'until grep -q "^order.placed " out; do sleep 0.1; done',
    'cat out',
    'kill $subscriber; rm out'
  ].join('\n')
  for (const round of ['once', 'again']) {
    const output = await run(folder, script)
    t.match(output, /^order\.placed 1 \{ total: 42 \}$/m, round)
    t.match(output, /^subscribed \{/m, round)
    t.notMatch(output, /Error/, round)
  }

  const login = /(?<=auth\/login .*"password":")[^"]*/
  t.match(script, login)
  const refused = await run(folder, setUp.replace('PORT=3000', `PORT=${port}`).replace(login, 'another pass phrase'))
  t.match(refused.trim(), /^\{.*"code":"LOGIN_FAILED".*\}$/, 'a wrong password is shown, and ends the set-up')
  const unreachable = await run(folder, setUp.replace('PORT=3000', 'PORT=1'))
  t.match(unreachable, /^curl: .*[^]*^no answer$/m)
})

async function run (folder: string, script: string): Promise<string> {
  const shell = spawn('bash', ['-c', `exec 2>&1\n${script}`], {
    cwd: folder, env: { PATH: process.env['PATH'], HOME: folder }
  })
  let output = ''
  for (const stream of [shell.stdout, shell.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => {
      output += text
    })
  }
  await once(shell, 'close')
  return output
}
