import { commonOptions, expectAtMost, UsageError, type Command } from '../command.ts'
import { adminOf, profileName, readProfile, writeProfile } from '../settings.ts'
import { note } from '../terminal.ts'

export const logout: Command = {
  summary: 'End the session of a profile, and delete the profile',
  usage: '[--profile <name>]',
  options: { profile: commonOptions.profile, help: commonOptions.help },
  help: `  --profile <name>      The profile. Default: default
  -h, --help            Print this help`,

  async run (values, positionals) {
    expectAtMost(positionals, 0)
    const name = profileName(values)
    const profile = await readProfile(name)
    if (profile === undefined) throw new UsageError(`There is no profile "${name}"`)
    await writeProfile(name, undefined)
    // Tokens and API keys stay valid: other programs may use them.
    const isSession = profile.token.startsWith('sess_')
    const hasEnded = !isSession || await adminOf(profile).POST('/api/auth/logout')
      .then(({ response }) => response.ok || response.status === 401, () => false)
    note(`Profile "${name}" is deleted.`)
    if (!hasEnded) note('The session could not be ended: the server did not accept it. It ends when it is not used.')
    else if (!isSession) note('Its token is still valid. Revoke an API key in the console if it is no longer needed.')
  }
}
