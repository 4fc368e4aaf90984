import type { World } from './world.ts'

export interface ConsolePage {
  /** The name of its screenshots. */
  name: string
  path: string
  /** A text that the page shows once it has loaded, and that is not in its frame. */
  shows: string
}

/**
 * The pages of the console in a world. Tests visit each in both themes and in every state, as a super_admin and as a
 * viewer. Add a new page here.
 */
export function pagesOf (world: World): ConsolePage[] {
  const { console: { at, applicationId } } = world
  const mapping = `/database/mappings/${world.mappingId}`
  const channel = `/channels/${encodeURIComponent(world.channel)}`
  const page = (name: string, path: string, shows: string): ConsolePage => ({ name, path, shows })
  return [
    page('overview', at(''), 'Health'),
    page('topics', at('/topics'), 'System topics'),
    page('topic-events', at('/topics/order.placed'), 'This is the beginning of the log'),
    page('topic-event', at('/topics/order.placed?event=3'), 'only this key'),
    page('topic-publish', at('/topics/order.placed/publish'), 'The event appears here'),
    page('topic-schema', at('/topics/order.placed/schema'), 'Example of a valid payload'),
    page('topic-subscribers', at('/topics/order.placed/subscribers'), 'Payload of the dry run'),
    page('topic-settings', at('/topics/order.placed/settings'), 'Events are kept'),
    page('schemas', at('/schemas'), 'Active version'),
    page('schemas-types', at('/schemas/_types'), 'In your project'),
    page('schema', at('/schemas/order.placed'), 'Compare with'),
    page('schema-versions', at('/schemas/order.placed?version=2&against=1'), 'Changes from version 1 to version 2'),
    page('schema-editor', at('/schemas/order.placed/editor'), 'New version, from version 1'),
    page('schema-validate', at('/schemas/order.placed/validate'), 'The payload is valid under version 1'),
    page('schema-types', at('/schemas/order.placed/types'), 'The type of order.placed'),
    page('debugger', at('/debugger'), 'Outcome'),
    page('debugger-trace', at(`/debugger/traces/${world.eventId}`), 'in a batch of 12'),
    page(
      'debugger-explain', at(`/debugger/explain?eventId=${world.eventId}&webhookId=${world.webhookId}`), 'DELIVERY_DEAD'
    ),
    page('debugger-route', at('/debugger/route'), 'Who would get it'),
    page('debugger-replays', at('/debugger/replays'), 'Progress'),
    page('debugger-new-replay', at('/debugger/replays/new'), 'Events per second'),
    page('debugger-replay', at(`/debugger/replays/${world.replayId}`), 'Passed over'),
    page('database', at('/database'), 'Position in the WAL'),
    page('database-tables', at('/database/tables'), 'Replica identity'),
    page('database-mappings', at('/database/mappings'), 'Problems here'),
    page('database-new-mapping', at('/database/mappings/new'), 'Choose a table to see its columns'),
    page('database-mapping', at(mapping), 'Not promoted yet'),
    page('database-versions', at(`${mapping}/versions`), 'No difference.'),
    page('database-log', at('/database/log'), 'delivered'),
    page('documents', at('/documents'), 'Services are namespaces of documents'),
    page('documents-service', at('/documents/carts'), 'Include deleted'),
    page('document', at('/documents/carts/cart-1'), 'Viewers'),
    page('document-history', at('/documents/carts/cart-1/history'), 'Changed parts'),
    page('channels', at('/channels'), 'Kind'),
    page('channel-members', at(channel), 'Refreshed every'),
    page('channel-messages', at(`${channel}/messages`), 'Messages are sent to members only'),
    page('connections', at('/connections'), 'Credential'),
    page('webhooks', at('/webhooks'), 'Success, 24 h'),
    page('webhooks-new', at('/webhooks/new'), 'None chosen: all types'),
    page('webhook', at(`/webhooks/${world.webhookId}`), 'Latest deliveries'),
    page('webhook-settings', at(`/webhooks/${world.webhookId}/settings`), 'Rate limit'),
    page('webhook-verify', at(`/webhooks/${world.webhookId}/verify`), 'Verify the signature of each request'),
    page('deliveries', at('/deliveries'), 'Last answer'),
    page('delivery', at(`/deliveries/${world.deliveryId}`), 'Attempts (2)'),
    page('monitoring', at('/monitoring'), 'Queue depth'),
    page('alerts', at('/alerts'), 'Acknowledged'),
    page('alert-rules', at('/alerts/rules'), 'Replication slot holds WAL'),
    page('deployments', at('/deployments'), 'From → to'),
    page('deployments-new', at('/deployments/new'), 'Pick what to deploy'),
    page('deployment', at(`/deployments/${world.deploymentId}`), 'Listening in staging now'),
    page('keys', at('/keys'), 'Last used'),
    page('keys-tokens', at('/keys/tokens'), 'Decode and verify a token'),
    page('keys-signing', at('/keys/signing'), 'Deactivated'),
    page('api-reference', at('/api-reference'), 'Publish with curl'),
    page('production', at('/topics', 'production'), 'There are no topics yet'),
    page('applications', '/applications', 'Approval required'),
    page('application', `/applications/${applicationId}`, 'Facts'),
    page('application-quotas', `/applications/${applicationId}/quotas`, 'Events per second'),
    page('application-usage', `/applications/${applicationId}/usage`, 'Peak subscriptions'),
    page('application-access', `/applications/${applicationId}/access`, 'Invite users, and change their roles'),
    page('users', '/users', 'Second factor'),
    page('user', `/users/${world.userId}`, 'Sign-in'),
    page('invites', '/invites', 'grace@example.com'),
    page('roles', '/roles', 'built in'),
    page('roles-new', '/roles/new', '0 selected'),
    page('role', `/roles/${world.roleId}`, '1 selected'),
    page('audit', '/audit', 'Export filter'),
    page('account', '/account', 'This session ends'),
    page('account-password', '/account/password', 'New password again'),
    page('account-second-factor', '/account/second-factor', 'With a second factor'),
    page('account-sessions', '/account/sessions', 'Ends if unused'),
    page('account-api-keys', '/account/api-keys', 'Begins with'),
    page('first-steps', '/first-steps', 'From nothing to an event that arrives')
  ]
}

/** The pages that are shown without a session. */
export const publicPages: ConsolePage[] = [
  { name: 'login', path: '/login', shows: 'Sign in' },
  { name: 'forgot-password', path: '/forgot-password', shows: 'Forgot password' },
  { name: 'reset-password', path: '/reset-password', shows: 'Open the link of the mail' },
  { name: 'accept-invite', path: '/accept-invite', shows: 'Open the link of the invite' }
]

/** Routes that are not among the pages, and why. */
export const otherRoutes: Record<string, string> = {
  '/': 'It leads to the overview.',
  '/setup': 'It is shown while there is no user: test/ui/sign-in.'
}

/** Returns every nth page, or with CONSOLE_PAGES=all (`npm run test:console`) all of them. */
export const sample = (pages: readonly ConsolePage[], every: number): readonly ConsolePage[] =>
  process.env['CONSOLE_PAGES'] === 'all' ? pages : pages.filter((_, n) => n % every === 0)
