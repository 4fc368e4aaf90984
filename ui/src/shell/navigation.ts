import type { LinkProps } from '@tanstack/react-router'
import {
  Activity,
  Bell,
  Boxes,
  Braces,
  Cable,
  Database,
  FileJson2,
  FileText,
  KeyRound,
  LayoutDashboard,
  MessagesSquare,
  Radio,
  Rocket,
  ScrollText,
  Send,
  ShieldCheck,
  SquareTerminal,
  Users,
  Webhook,
  type LucideIcon
} from 'lucide-react'
import type { Scope } from '../app/api.ts'
import { mayIn, type Me } from '../app/me.ts'
import { scopePath } from '../app/scope.ts'

export interface NavigationItem {
  label: string
  icon: LucideIcon
  /** Opens the page when it is pressed after `g`. */
  key: string
  /** The page is for those who have one of these permissions; without any, for everybody. */
  permissions: readonly string[]
  /** Whether the page belongs to an application. */
  isScoped: boolean
  linkIn: (scope: Scope | null) => LinkProps
}

export interface NavigationSection {
  label: string
  items: readonly NavigationItem[]
}

const scoped = (
  label: string,
  key: string,
  path: string,
  icon: LucideIcon,
  ...permissions: string[]
): NavigationItem => ({
  label,
  key,
  icon,
  permissions,
  isScoped: true,
  linkIn: scope => ({ to: `${scopePath}${path}`, params: { ...scope } }) as LinkProps
})
const global = (
  label: string,
  key: string,
  path: string,
  icon: LucideIcon,
  ...permissions: string[]
): NavigationItem => ({
  label,
  key,
  icon,
  permissions,
  isScoped: false,
  linkIn: () => ({ to: path }) as LinkProps
})

const navigation: readonly NavigationSection[] = [
  { label: 'Overview', items: [scoped('Overview', 'o', '', LayoutDashboard)] },
  {
    label: 'Events',
    items: [
      scoped('Topics', 't', '/topics', Radio, 'topics:read'),
      scoped('Schemas', 's', '/schemas', FileJson2, 'schemas:read'),
      scoped('Debugger', 'd', '/debugger', SquareTerminal, 'debugger:read')
    ]
  },
  {
    label: 'Data',
    items: [
      scoped('Database', 'b', '/database', Database, 'mappings:read'),
      scoped('Documents', 'f', '/documents', FileText, 'documents:read')
    ]
  },
  {
    label: 'Realtime',
    items: [
      scoped('Channels', 'c', '/channels', MessagesSquare, 'socket:read'),
      scoped('Connections', 'n', '/connections', Cable, 'socket:read')
    ]
  },
  {
    label: 'Webhooks',
    items: [
      scoped('Endpoints', 'w', '/webhooks', Webhook, 'webhooks:read'),
      scoped('Deliveries', 'v', '/deliveries', Send, 'webhooks:read')
    ]
  },
  {
    label: 'Operations',
    items: [
      scoped('Monitoring', 'm', '/monitoring', Activity, 'metrics:read'),
      scoped('Alerts', 'l', '/alerts', Bell, 'alerts:read'),
      scoped('Deployments', 'p', '/deployments', Rocket, 'deployments:read')
    ]
  },
  {
    label: 'Administration',
    items: [
      global('Applications', 'a', '/applications', Boxes, 'applications:read'),
      global('Users', 'u', '/users', Users, 'users:read'),
      global('Roles', 'r', '/roles', ShieldCheck, 'roles:read'),
      scoped('Keys', 'k', '/keys', KeyRound, 'keys:read', 'api-keys:read', 'tokens:create'),
      global('Audit log', 'y', '/audit', ScrollText, 'audit:read'),
      scoped('API', 'i', '/api-reference', Braces)
    ]
  }
]

/** Returns the sections without the pages that the roles of a user do not cover. */
export function navigationFor (me: Me | undefined, scope: Scope | null): readonly NavigationSection[] {
  if (me === undefined) return []
  return navigation
    .map(({ label, items }) => ({ label, items: items.filter(item => mayOpen(me, scope, item)) }))
    .filter(({ items }) => items.length > 0)
}

function mayOpen (me: Me, scope: Scope | null, { isScoped, permissions }: NavigationItem): boolean {
  if (isScoped && scope === null) return false
  if (permissions.length === 0) return true
  // Pages of no application are there for those who may see them in any.
  const applications = isScoped
    ? [scope?.applicationId ?? null]
    : [null, ...(me.roles ?? []).map(role => role.applicationId)]
  return applications.some(id => permissions.some(permission => mayIn(me, id, permission)))
}
