/** Why an event did not arrive somewhere: exact and stable; docs/DEBUGGER.md is printed from it. */
export const causes = {
  APPLICATION_DIFFERS: 'The credential is for another application.',
  CATCHING_UP: 'The subscription is on its way to the event: its past is still being delivered.',
  CIRCUIT_OPEN: 'The webhook\'s endpoint has failed so often that it is left alone for a while; the delivery waits.',
  CREDENTIAL_INVALID: 'The credential is malformed, unknown, expired or revoked.',
  DELIVERY_DEAD: 'Every attempt to deliver it to the webhook has failed: it can be retried.',
  DELIVERY_PENDING: 'The webhook\'s delivery waits for its first or next attempt.',
  ENVIRONMENT_DIFFERS: 'The event is of another environment.',
  EVENT_REFUSED: 'The event never came to be: it was refused, or could not be stored.',
  EVENT_TYPE_NOT_LISTED: 'The webhook does not listen to events of this type.',
  FILTER_NOT_MATCHED: 'The filter does not match the payload.',
  LOG_STARTED_ANEW: 'The subscription was for an earlier life of the topic\'s log.',
  NODE_GONE: 'The node that held the socket died before the event.',
  NOT_CONNECTED: 'The socket had closed before the event.',
  NOT_ROUTED: 'Nothing was owed to the webhook: it was made, changed or switched on after the event.',
  NOT_ROUTED_YET: 'The node that holds the socket has not come to the event yet.',
  NOT_SUBSCRIBED: 'Nobody with this credential has subscribed to the topic.',
  NOT_SUBSCRIBED_YET: 'The subscription began after the event.',
  PERMISSION_DENIED: 'The credential may not subscribe to the topic.',
  RESYNCED: 'The subscription had been given up before the event reached it: the client was told by `resync`.',
  TOPIC_NOT_MATCHED: 'The subscription, or the webhook, is for other topics.',
  UNSUBSCRIBED: 'The client had unsubscribed before the event.',
  WEBHOOK_INACTIVE: 'The webhook is switched off.'
} as const
export type Cause = keyof typeof causes
