import { createAdminClient, paginate, unwrap, type components } from '../../admin/index.ts'
import { commonHelp, commonOptions, expectAtMost, text, UsageError, type Command, type Values } from '../command.ts'
import {
  adminOf, checkEnvironment, configPath, environments, normalized, profileName, readProfile, writeProfile, type Profile
} from '../settings.ts'
import { note, questions, type Questions } from '../terminal.ts'

export const login: Command = {
  summary: 'Log in, and keep the credential in a profile',
  usage: '[options]',
  options: { ...commonOptions, token: { type: 'string' }, 'api-key': { type: 'string' } },
  help: `  --token <token>       Use this token instead of an email and a password;
                        "-" reads it from standard input
  --api-key <key>       The same with an API key
${commonHelp}

Asks for what is not given. The profile is stored in
$XDG_CONFIG_HOME/realtime-platform/config.json, which only you can read.
REALTIME_URL, REALTIME_TOKEN, REALTIME_APPLICATION and REALTIME_ENVIRONMENT
take precedence over a profile.`,

  async run (values, positionals) {
    expectAtMost(positionals, 0)
    const asking = questions()
    try {
      await logIn(values, asking)
    } finally {
      asking.close()
    }
  }
}

async function logIn (values: Values, asking: Questions): Promise<void> {
  const name = profileName(values)
  const earlier = await readProfile(name)
  const url = normalized(
    text(values['url']) || process.env['REALTIME_URL'] ||
      await asking.ask('Server', earlier && { otherwise: earlier.url })
  )
  await unwrap(createAdminClient({ url, token: '', retries: 0 }).GET('/health'))
  const given = text(values['token']) ?? text(values['api-key'])
  const token = given === '-'
    ? (await asking.ask('Token', { hidden: true })).trim()
    : given ?? await sessionToken(url, asking)
  if (token === '') throw new UsageError('The token is empty')
  const me = await unwrap(adminOf({ url, token }).GET('/api/auth/me'))
  const profile: Profile = { url, token }
  const application = me.applicationId ?? await chooseApplication(profile, values, asking)
  if (application !== undefined) profile.applicationId = application
  const environment = checkEnvironment(
    text(values['environment']) ?? me.environment ?? (given === undefined ? await chooseEnvironment(asking) : undefined)
  ) ?? 'development'
  profile.environment = environment
  await writeProfile(name, profile)
  note(`Logged in to ${url} as ${me.user?.email ?? me.subject ?? 'the bearer of the token'}.`)
  note(`Application ${application ?? '(none)'}, environment ${environment}.`)
  if (me.expiresAt !== null) note(`The credential expires at ${new Date(me.expiresAt).toISOString()}.`)
  note(`Saved as profile "${name}" in ${configPath()}.`)
}

const chooseEnvironment = (asking: Questions) =>
  asking.ask(`Environment (${environments.join(', ')})`, { otherwise: 'development' })

async function sessionToken (url: string, asking: Questions): Promise<string> {
  const admin = createAdminClient({ url, token: '', retries: 0 })
  const email = await asking.ask('Email')
  const password = await asking.ask('Password', { hidden: true })
  const outcome = await unwrap(admin.POST('/api/auth/login', { body: { email, password } }))
  if (!('mfaRequired' in outcome)) return outcome.sessionToken
  const code = await asking.ask('Code of the authenticator app, or a recovery code')
  const { sessionToken } = await unwrap(admin.POST('/api/auth/mfa/verify', {
    body: { mfaToken: outcome.mfaToken, code: code.trim() }
  }))
  return sessionToken
}

async function chooseApplication (profile: Profile, values: Values, asking: Questions): Promise<string | undefined> {
  const applications: components['schemas']['Application'][] = []
  for await (const application of paginate(adminOf(profile), '/api/applications')) applications.push(application)
  const wanted = text(values['application']) || process.env['REALTIME_APPLICATION']
  const find = (text: string) => applications.find(({ id, name }, index) => [id, name, `${index + 1}`].includes(text))
  if (wanted !== undefined) {
    const found = applications.find(({ id, name }) => id === wanted || name === wanted)
    if (found === undefined) throw new UsageError(`There is no application "${wanted}" that you may see`)
    return found.id
  }
  if (applications.length <= 1) return applications[0]?.id
  for (const [index, { id, name }] of applications.entries()) note(`  ${index + 1}  ${name}  (${id})`)
  const chosen = find((await asking.ask('Application', { otherwise: '1' })).trim())
  if (chosen === undefined) throw new UsageError('That is not in the list')
  return chosen.id
}
