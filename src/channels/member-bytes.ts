import type { Scope } from '../../schemas/scope.ts'
import type { Connection } from '../delivery/sockets/connection.ts'
import { memberCost, type HeldBytes } from '../foundation/limits/held-bytes.ts'
import type { Member, State } from './channel.ts'

/**
 * Counts the bytes of members on this node, together with those of subscriptions. While a member has a connection here,
 * its bytes also count for the connection.
 */
export class MemberBytes {
  readonly #held: HeldBytes

  constructor (held: HeldBytes) {
    this.#held = held
  }

  /**
   * Throws RateLimitError `MEMORY_LIMIT` unless there is room for a state. `before` is the state that it replaces;
   * undefined for a new member.
   */
  requireRoom ({ applicationId }: Scope, stateLength: number, before: State | undefined): void {
    const more = memberCost(stateLength) - (before === undefined ? 0 : costOf(before))
    if (more > 0) this.#held.requireRoom(applicationId, more)
  }

  add (scope: Scope, member: Member): void {
    this.#count(scope, member, costOf(member.state))
  }

  remove (scope: Scope, member: Member): void {
    this.#count(scope, member, -costOf(member.state))
  }

  /** Call it before the member gets the state. */
  replaceState (scope: Scope, member: Member, state: State): void {
    this.#count(scope, member, costOf(state) - costOf(member.state))
  }

  /**
   * Moves the bytes to the connection that the member gets next, if any. The bytes of an away member stay counted for
   * its application.
   */
  move ({ connection, state }: Member, to: Connection | undefined): void {
    const bytes = costOf(state)
    if (connection !== undefined) connection.heldBytes -= bytes
    if (to !== undefined) to.heldBytes += bytes
  }

  #count ({ applicationId }: Scope, { connection }: Member, bytes: number): void {
    if (connection === undefined) this.#held.count(applicationId, bytes)
    else connection.hold(bytes)
  }
}

const costOf = ({ text }: State): number => memberCost(text.length)
