import type { Mailer } from '../mail/mailer.ts'

const notices = {
  addressChanged: 'The email address of your account was changed. Mail no longer goes to this one.',
  passwordChanged: 'The password of your account was changed.',
  mfaEnabled: 'A second factor was set up for your account. Logins need a code of it from now on.',
  mfaDisabled: 'The second factor of your account was disabled. Logins need no code.'
} as const

/** Mails a user what happened to their account, so that they notice what was not their doing. */
export type Notify = (email: string, notice: keyof typeof notices) => void

export function createNotify (mailer: Pick<Mailer, 'send'>): Notify {
  return (email, notice) => mailer.send({
    to: email,
    kind: 'notice',
    subject: 'Your account of the Realtime Platform was changed',
    lines: [notices[notice], 'If it was not you, set a new password and tell whoever runs the platform.']
  })
}
