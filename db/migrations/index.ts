import type { Migration } from 'kysely'
import * as spine from './0001-spine.ts'
import * as schemas from './0002-schemas.ts'
import * as presenceGrace from './0003-presence-grace.ts'
import * as topicLogIds from './0004-topic-log-ids.ts'
import * as cdc from './0005-cdc.ts'
import * as webhooks from './0006-webhooks.ts'
import * as people from './0007-people.ts'
import * as traces from './0008-traces.ts'
import * as cdcLeftovers from './0009-cdc-leftovers.ts'
import * as webhookFailedAt from './0010-webhook-failed-at.ts'
import * as epochSeed from './0011-epoch-seed.ts'
import * as mappingHistory from './0012-mapping-history.ts'
import * as cdcSlotLsn from './0013-cdc-slot-lsn.ts'
import * as inviteGrants from './0015-invite-grants.ts'
import * as canonicalAddresses from './0016-canonical-addresses.ts'
import * as webhookReaders from './0017-webhook-readers.ts'
import * as cdcMarks from './0018-cdc-marks.ts'
import * as auditUserAgent from './0020-audit-user-agent.ts'
import * as leases from './0021-leases.ts'
import * as permissionNames from './0022-permission-names.ts'
import * as logTimes from './0023-log-times.ts'
import * as apiKeys from './0024-api-keys.ts'
import * as listIndexes from './0025-list-indexes.ts'
import * as metricSeries from './0026-metric-series.ts'
import * as alerts from './0027-alerts.ts'
import * as deployments from './0028-deployments.ts'
import * as oidc from './0029-oidc.ts'
import * as quotas from './0030-quotas.ts'
import * as deadDeliveries from './0031-dead-deliveries.ts'
import * as attemptHeaders from './0032-attempt-headers.ts'
import * as webhookDownSince from './0033-webhook-down-since.ts'
import * as webhookLanes from './0034-webhook-lanes.ts'

/** All migrations in order of name. They only go forward; a released migration never changes. */
export const migrations: Record<string, Migration> = {
  '0001-spine': spine,
  '0002-schemas': schemas,
  '0003-presence-grace': presenceGrace,
  '0004-topic-log-ids': topicLogIds,
  '0005-cdc': cdc,
  '0006-webhooks': webhooks,
  '0007-people': people,
  '0008-traces': traces,
  '0009-cdc-leftovers': cdcLeftovers,
  '0010-webhook-failed-at': webhookFailedAt,
  '0011-epoch-seed': epochSeed,
  '0012-mapping-history': mappingHistory,
  '0013-cdc-slot-lsn': cdcSlotLsn,
  '0015-invite-grants': inviteGrants,
  '0016-canonical-addresses': canonicalAddresses,
  '0017-webhook-readers': webhookReaders,
  '0018-cdc-marks': cdcMarks,
  '0020-audit-user-agent': auditUserAgent,
  '0021-leases': leases,
  '0022-permission-names': permissionNames,
  '0023-log-times': logTimes,
  '0024-api-keys': apiKeys,
  '0025-list-indexes': listIndexes,
  '0026-metric-series': metricSeries,
  '0027-alerts': alerts,
  '0028-deployments': deployments,
  '0029-oidc': oidc,
  '0030-quotas': quotas,
  '0031-dead-deliveries': deadDeliveries,
  '0032-attempt-headers': attemptHeaders,
  '0033-webhook-down-since': webhookDownSince,
  '0034-webhook-lanes': webhookLanes
}
