export type {
  Channel, ChannelMessage, ChannelSnapshot, ChannelStatus, Delivery, Member
} from './channels/channel.ts'
export type { DirectMessage, SocketClient, SocketEvents } from './channels/socket-client.ts'
export { RealtimeClient, type RealtimeClientOptions } from './client.ts'
export type { ConnectionChange, ConnectionState } from './connection/connection.ts'
export type { Transport } from './connection/link.ts'
export {
  decodeToken, getTokenExpiresIn, isTokenExpired, shouldRefreshToken, type TokenClaims, type TokenInput
} from './connection/token.ts'
export { RealtimeCore, type ClientEvents, type RealtimeCoreOptions } from './core.ts'
export type { OfflineQueue } from './documents/documents.ts'
export { offlineQueue, type OfflineQueueOptions } from './documents/offline-queue.ts'
export { databaseStorage, memoryStorage, type WriteStorage } from './documents/write-storage.ts'
export type { Mutation } from './documents/json.ts'
export type { DocumentSnapshot, DocumentStatus, LiveDocument } from './documents/live-document.ts'
export type { PendingWrites } from './documents/outbox.ts'
export type { ListDocumentsOptions, SyncClient } from './documents/sync-client.ts'
export type {
  CreateOptions, MergePatch, PendingWrite, SyncDocument, WriteOptions, WrittenDocument
} from './documents/write.ts'
export { ConflictError, RealtimeError, type ClientErrorCode } from './errors.ts'
export type { Observable } from './observable.ts'
export type { Environment, Filter, RealtimeEvent, ReturnMode } from './protocol/protocol.ts'
export type { Gap, GapReason, Position, Positions, PositionStore } from './subscriptions/position.ts'
export type { PublishedEvent, PublishOptions, PublishReceipt } from './subscriptions/publisher.ts'
export type { Subscription } from './subscriptions/subscription.ts'
export type { HistoryOptions, Topic } from './subscriptions/topic.ts'
export type { EventsOptions, SubscribeOptions, TopicReader } from './subscriptions/topic-reader.ts'
export type {
  AlertPayload, DocumentDiffPayload, DocumentPayload, EventOf, FilterOf, JsonPatchOperation, PayloadOf, PlatformTopics,
  TopicEvent, TopicPattern
} from './subscriptions/topic-types.ts'
export { indexedDbStore, type IndexedDbStore, type IndexedDbStoreOptions } from './stores/indexed-db-store.ts'
export { localStorageStore, type LocalStorageStoreOptions } from './stores/local-storage-store.ts'
export { memoryStore } from './stores/memory-store.ts'
