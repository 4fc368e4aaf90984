import type { GracePeriods } from '../identity/applications/grace-periods.ts'

/**
 * The absences of each application's members, oldest first. An absence begins when the connection of a member ends. It
 * ends with the application's grace period, or earlier to free memory.
 */
export class Absences {
  readonly #gracePeriods: GracePeriods
  /** Calling one ends the absence. Returns whether members were still away. */
  readonly #byApplication = new Map<string, Set<() => boolean>>()
  #isClosed = false

  constructor (gracePeriods: GracePeriods) {
    this.#gracePeriods = gracePeriods
  }

  /** `removeAway` removes the members that are still away, and returns whether there were any. */
  begin (applicationId: string, removeAway: () => boolean): void {
    if (this.#isClosed) return
    const since = performance.now()
    const end = () => {
      this.#forget(applicationId, end)
      return !this.#isClosed && removeAway()
    }
    this.#remember(applicationId, end)
    void this.#gracePeriods.of(applicationId).then(graceMs => {
      setTimeout(end, Math.max(0, graceMs - (performance.now() - since))).unref()
    })
  }

  /** Ends the application's oldest absence of members that are still away. Returns whether there was one. */
  endOldest (applicationId: string): boolean {
    for (const end of this.#byApplication.get(applicationId) ?? []) if (end()) return true
    return false
  }

  /** Begins and ends no further absences, because the server stops and its members stop with it. */
  close (): void {
    this.#isClosed = true
  }

  #remember (applicationId: string, end: () => boolean): void {
    const absences = this.#byApplication.get(applicationId)
    if (absences === undefined) this.#byApplication.set(applicationId, new Set([end]))
    else absences.add(end)
  }

  #forget (applicationId: string, end: () => boolean): void {
    const absences = this.#byApplication.get(applicationId)
    if (absences?.delete(end) === true && absences.size === 0) this.#byApplication.delete(applicationId)
  }
}
