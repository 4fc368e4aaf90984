/**
 * Separates a deployment from others in the same Redis. Publish and subscribe ignore the database number, so every
 * channel and key begins with the identity of the platform's database.
 */
export interface RedisNamespace {
  /** The identity of the platform's database. */
  deployment: string
  /** Returns the Redis name of a channel or key of this deployment. */
  nameOf (name: string): string
  /**
   * The one channel that deployments with the same prefix share. They announce themselves on it and send nothing else.
   */
  announcements: string
}

export const createRedisNamespace = (deployment: string, prefix: string): RedisNamespace => ({
  deployment,
  nameOf: name => `${prefix}realtime:${deployment}:${name}`,
  announcements: `${prefix}realtime:deployments`
})
