import t from 'tap'
import { pino } from 'pino'
import { passwordHashings } from '../../../src/identity/auth/passwords.ts'
import { build } from '../../support/build.ts'
import { mailServer } from '../../support/mail-server.ts'
import { password, person, requests } from '../../support/people.ts'
import { eventually } from '../../support/waiting.ts'

t.setTimeout(600_000)

const outcome = ({ status, body }: { status: number, body?: { code?: string } }) =>
  body?.code === undefined ? String(status) : `${status} ${body.code}`
const tokenIn = (text: string) => /#token=(reset_[\w-]+)/.exec(text)?.[1]
const renewed = 'a new long pass phrase'

// The mail server refuses the first attempt.
const smtp = await mailServer(t, { refuses: 1 })
const { app } = await build(t, { variables: { SMTP_URL: smtp.url, PUBLIC_URL: 'https://realtime.example.com' } })
const anybody = requests(app)

await t.test('a mailed link sets a new password once, and ends every session', async t => {
  const ada = await person(app, 'viewer')
  const asked = await anybody.post('/api/auth/forgot-password', { email: ada.email.toUpperCase() }, {
    headers: { host: 'evil.example.com', 'x-forwarded-host': 'evil.example.com' }
  })
  t.equal(asked.status, 202)
  t.equal(asked.text, '')
  const mail = await eventually(() => smtp.mails[0])
  t.same(mail.to, [ada.email])
  t.equal(mail.from, 'realtime@realtime.example.com')
  t.match(mail.text, 'https://realtime.example.com/reset-password#token=reset_')
  t.notMatch(mail.text, 'evil')
  const token = tokenIn(mail.text) as string
  t.notOk(JSON.stringify(await app.db.selectFrom('password_resets').selectAll().execute()).includes(token))

  t.equal(
    outcome(await anybody.post('/api/auth/reset-password', { token: 'reset_guess', password: renewed })),
    '403 RESET_INVALID'
  )
  t.equal(
    outcome(await anybody.post('/api/auth/reset-password', { token, password: 'short' })), '400 VALIDATION_FAILED'
  )
  const answers = await Promise.all(
    [1, 2, 3].map(() => anybody.post('/api/auth/reset-password', { token, password: renewed }))
  )
  t.same(answers.map(outcome).sort(), ['204', '403 RESET_INVALID', '403 RESET_INVALID'])
  t.equal((await ada.get('/api/auth/me')).status, 401)
  t.equal(outcome(await anybody.post('/api/auth/login', { email: ada.email, password })), '401 LOGIN_FAILED')
  t.equal((await anybody.post('/api/auth/login', { email: ada.email, password: renewed })).status, 200)

  const grace = await person(app, 'viewer')
  await anybody.post('/api/auth/forgot-password', { email: grace.email })
  const late = await eventually(() => smtp.mails.find(({ to }) => to.includes(grace.email)))
  await app.db.updateTable('password_resets').set({ expires_at: Date.now() }).execute()
  t.equal(
    outcome(await anybody.post('/api/auth/reset-password', { token: tokenIn(late.text), password: renewed })),
    '403 RESET_INVALID', 'after its hour'
  )
})

await t.test('without a mail server, the link is logged', async t => {
  const lines: { msg?: string, link?: string }[] = []
  const logger = pino({ level: 'info' }, { write: (line: string) => { lines.push(JSON.parse(line)) } })
  const { app } = await build(t, { logger, variables: { LOG_LEVEL: 'info' } })
  const ada = await person(app, 'viewer')
  await requests(app).post('/api/auth/forgot-password', { email: ada.email })
  const line = await eventually(() => lines.find(({ msg }) => msg === 'mail.not_configured'))
  const token = tokenIn(line.link ?? '')
  t.equal((await requests(app).post('/api/auth/reset-password', { token, password: renewed })).status, 204)
  await app.close()
})

await t.test('an unknown address gets the same response as a known one, at the same cost', async t => {
  const ada = await person(app, 'viewer')
  const [known, unknown] = [
    await anybody.post('/api/auth/forgot-password', { email: ada.email }),
    await anybody.post('/api/auth/forgot-password', { email: 'nobody@example.com' })
  ]
  t.equal(known.status, unknown.status)
  t.equal(known.text, unknown.text)

  await anybody.post('/api/auth/login', { email: 'somebody@example.com', password: 'x' })
  const work: number[] = []
  const answers: string[] = []
  for (const email of [ada.email, 'nobody@example.com']) {
    const before = passwordHashings()
    const answer = await anybody.post('/api/auth/login', { email, password: 'wrong' })
    answers.push(`${answer.status} ${answer.text}`)
    work.push(passwordHashings() - before)
  }
  t.equal(answers[0], answers[1])
  t.same(work, [1, 1], 'one password is hashed for each')
  const before = passwordHashings()
  await anybody.post('/api/auth/reset-password', { token: 'reset_guess', password: renewed })
  t.equal(passwordHashings(), before, 'no password is hashed for a guessed token')
})

await t.test('an address gets at most one mail a minute', async t => {
  const [ada, grace] = [await person(app), await person(app)]
  for (let i = 0; i < 5; i++) await requests(app).post('/api/auth/forgot-password', { email: ada.email })
  await eventually(() => smtp.mails.find(({ to }) => to.includes(ada.email)))
  await requests(app).post('/api/auth/forgot-password', { email: grace.email })
  await eventually(() => smtp.mails.find(({ to }) => to.includes(grace.email)))
  t.equal(smtp.mails.filter(({ to }) => to.includes(ada.email)).length, 1)
})

await t.test('a login updates a hash of an older cost', async t => {
  const ada = await person(app)
  const { hash } = await import('@node-rs/argon2')
  await app.db.updateTable('users').set({
    password_hash: await hash(password, { memoryCost: 8192, timeCost: 1, parallelism: 1 })
  }).where('id', '=', ada.id).execute()
  const stored = async () =>
    (await app.db.selectFrom('users').select('password_hash').where('id', '=', ada.id).executeTakeFirstOrThrow())
      .password_hash
  await requests(app).post('/api/auth/login', { email: ada.email, password: 'wrong' })
  t.match(await stored(), /m=8192,t=1/)
  t.equal((await requests(app).post('/api/auth/login', { email: ada.email, password })).status, 200)
  const renewedHash = await stored()
  t.match(renewedHash, /\$argon2id\$v=19\$m=19456,t=2,p=1\$/)
  t.equal((await requests(app).post('/api/auth/login', { email: ada.email, password })).status, 200)
  t.equal(await stored(), renewedHash)
})
