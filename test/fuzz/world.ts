import { call, made, type Reply } from '../support/rest.ts'
import type { World } from './requests.ts'

export interface Places {
  url: string
  /** The connection string of a database that may be connected. */
  sourceUrl: string
  /** The URL that webhooks may be sent to. */
  sinkUrl: string
}

export const password = 'correct horse battery staple'

interface Made { id: string }

/** The user who creates worlds and belongs to none of them, so that no request can lock it out. */
export class Creator {
  readonly #places: Places
  readonly #session: string
  #made = 0

  constructor (places: Places, session: string) {
    this.#places = places
    this.#session = session
  }

  /** One resource of each kind that requests can name, in a new application, and credentials for it. */
  async world (): Promise<World> {
    const n = ++this.#made
    const { url, sourceUrl, sinkUrl } = this.#places
    await this.#revokeOldKeys()
    const application = await this.#post<Made>('/api/applications', { name: `Shop ${n}` })
    const other = await this.#post<Made>('/api/applications', { name: `Other ${n}` })
    const scope = { 'x-application-id': application.id }
    const scoped = async <T = Made>(path: string, body?: unknown) => await this.#post<T>(path, body, scope)
    const token = async (...permissions: string[]) =>
      (await this.#post<{ token: string }>('/auth/token', { applicationId: application.id, permissions })).token
    const email = `admin${n}@example.com`
    const admin = await this.#post<Made>('/api/users', {
      name: 'Admin', email, password, roles: [{ roleId: 'role_super_admin' }]
    })
    const victim = await this.#post<Made>('/api/users', { name: 'Victim', email: `victim${n}@example.com`, password })
    const role = await this.#post<Made>('/api/roles', {
      name: `role-${n}`,
      permissions: [{ resource: 'topics', action: 'read' }]
    })
    const invite = await this.#post<Made>('/api/invites', { email: `guest${n}@example.com`, roleId: 'role_viewer' })
    const logins = await Promise.all(
      [1, 2, 3].map(async () =>
        await made<{ sessionToken: string }>(
          call('POST', `${url}/api/auth/login`, {
            body: { email, password },
            headers: { 'x-forwarded-for': `192.0.2.${n % 250}` }
          })
        )
      )
    )

    await scoped('/api/topics', { name: 'session.status', description: 'A topic', owner: 'fuzz' })
    await scoped('/api/topics', { name: 'order.placed', description: 'A topic', owner: 'fuzz' })
    await scoped('/api/schemas/order.placed', { schema: { type: 'object', properties: { total: { type: 'number' } } } })
    const events = await scoped<{ id: string }[]>('/api/topics/session.status/events', {
      events: [{ payload: { status: 'active' } }, { payload: null, key: 'k' }]
    })
    const service = await scoped('/api/services', { name: 'parcel' })
    for (const id of ['doc_a1b2c3d4', 'doc_b']) {
      await scoped('/api/sync/session/documents', { id, data: { status: 'active', participantCount: 1, items: [] } })
    }
    const webhook = await scoped('/api/webhooks', { url: sinkUrl, events: ['*'] })
    const mapping = await scoped('/api/database/mappings', {
      table: 'sessions', topic: 'session.status', events: ['insert', 'update']
    })
    await scoped(`/api/database/mappings/${mapping.id}/versions`, { environment: 'development' })
    const subscription = await scoped('/api/database/subscriptions', { mappingId: mapping.id })
    const replay = await scoped('/api/debugger/replay', {
      topic: 'session.status', fromOffset: 1, toOffset: 2, target: 'subscribers'
    })
    const deployment = await scoped('/api/deployments', {
      title: 'A change', source: 'development', items: [{ kind: 'topic', name: 'order.placed' }]
    })
    // Only sometimes: a stream of changes for each world would take a slot each.
    if (n === 1) {
      await made(
        call('PUT', `${url}/api/database/connection`, {
          token: this.#session,
          body: { connectionString: sourceUrl },
          headers: scope
        })
      )
    }

    const apiKey = async (...permissions: string[]) =>
      await scoped<Made & { key: string }>('/api/api-keys', { name: 'A key', permissions })
    const [kept, revocable] = [await apiKey('admin'), await apiKey('subscribe')]
    const tokens = await Promise.all([
      token('admin'), token('admin'), token('service'), token('client'), token('client')
    ])
    // Created after the tokens, so that no token is signed with a key that requests may revoke.
    const key = await this.#post<{ keyId: string }>('/api/admin/keys', { algorithm: 'HS256' })
    const [applications, topics, users] = [[application.id, other.id], [
      'session.status', 'order.placed', 'sync.session.created'
    ], [victim.id, victim.id, admin.id]]
    return {
      applicationId: application.id,
      credentials: {
        session: logins.map(({ sessionToken }) => sessionToken),
        token: [...tokens.slice(0, -1), kept.key].map(one => `Bearer ${one}`),
        nobody: []
      },
      pools: {
        applicationId: applications, applicationsId: [application.id, ...Array<string>(9).fill(other.id)],
        topic: topics, topicsId: topics, topics: [['session.*'], ['**']],
        userId: users, usersId: users, actor: users,
        roleId: [role.id, 'role_viewer', 'role_admin'], rolesId: [role.id, 'role_viewer'],
        invitesId: [invite.id], keysId: [key.keyId], sessionsId: ['ses_none'],
        'api-keysId': [revocable.id, revocable.id, 'apk_none'], alertsId: ['alr_none'],
        service: ['session', 'parcel'], servicesId: [service.id], documentsId: ['doc_a1b2c3d4', 'doc_b', 'doc_none'],
        webhookId: [webhook.id], webhooksId: [webhook.id],
        mappingId: [mapping.id], mappingsId: [mapping.id], subscriptionId: [subscription.id],
        eventId: events.map(({ id }) => id), eventIds: events.map(({ id }) => id), replaysId: [replay.id],
        deploymentsId: [deployment.id, deployment.id, 'dep_none'],
        channel: ['chat:room1', 'doc:session:doc_a1b2c3d4'],
        email: [email, `victim${n}@example.com`, `guest${n}@example.com`, `new${n}@example.com`],
        password: [password], currentPassword: [password], newPassword: [password],
        url: [sinkUrl, `${sinkUrl}slow`, 'http://127.0.0.1:1/'],
        connectionString: ['postgres://nobody:secret@127.0.0.1:1/none', `${sourceUrl}?sslmode=nonsense`, sourceUrl],
        token: [logins[0]?.sessionToken ?? '', tokens.at(-1)]
      }
    }
  }

  /** Returns whether the credentials of a world still work. */
  async isWhole ({ credentials, applicationId }: World): Promise<boolean> {
    const asked = [...credentials.session, ...credentials.token].map(async authorization => {
      const { status } = await call('GET', `${this.#places.url}/api/services`, {
        headers: { authorization, 'x-application-id': applicationId }
      })
      // A client may not read services, but is authenticated.
      return status === 200 || status === 403
    })
    return (await Promise.all(asked)).every(Boolean)
  }

  /** Deletes the keys of the previous world, to make room for the keys of this one and of its requests. */
  async #revokeOldKeys (): Promise<void> {
    const keys = await made<{ keyId: string }[]>(
      call('GET', `${this.#places.url}/api/admin/keys`, { token: this.#session })
    )
    for (const { keyId } of keys.slice(1)) await this.#post(`/api/admin/keys/${keyId}/revoke`)
  }

  async #post<T> (path: string, body?: unknown, headers?: Record<string, string>): Promise<T> {
    const answer: Promise<Reply> = call('POST', `${this.#places.url}${path}`, {
      token: this.#session,
      body,
      ...(headers !== undefined && { headers })
    })
    return await made<T>(answer)
  }
}
