import type { Mailer } from '../mail/mailer.ts'

const notices = {
  addressChanged: 'The email address of your account was changed. Mail no longer goes to this one.',
  passwordChanged: 'The password of your account was changed.',
  mfaEnabled: 'A second factor was enabled for your account. Logins now require a code.',
  mfaDisabled: 'The second factor of your account was disabled. Logins no longer require a code.',
  providerLinked:
    'Your account was connected to the identity provider of the platform. A password that somebody else may have set ' +
      'no longer works.'
} as const

/** Mails a user about a change of their account, so that they notice changes by others. */
export type Notify = (email: string, notice: keyof typeof notices) => void

export function createNotify (mailer: Pick<Mailer, 'send'>): Notify {
  return (email, notice) => mailer.send({
    to: email,
    kind: 'notice',
    subject: 'Your Realtime Platform account was changed',
    lines: [notices[notice], 'If this was not you, set a new password and contact the administrator of the platform.']
  })
}
