/** How many more slots an endpoint can use, its application, and how many slots it holds. */
export interface Demand<T> { of: T, applicationId: string, room: number, held: number }

/** No application or endpoint takes another slot while it holds more than this many times the free slots. */
const share = 2

interface Queue<T> { held: number, waiting: Demand<T>[] }

/**
 * Assigns free slots one by one: to each application in turn, and within an application to each endpoint in turn, those
 * that hold least first. Slots return only when endpoints respond, so some always stay free for other demands: neither
 * an application nor an endpoint takes more than its share of the free slots. An endpoint's first slot counts half.
 * `rotation` moves the starting point, so that no application is always last.
 */
export function fairSlots<T> (
  demands: readonly Demand<T>[], free: number, heldBy: ReadonlyMap<string, number>, rotation = 0
): Map<T, number> {
  const slots = new Map<T, number>()
  const queues = queuesOf(demands.filter(({ room }) => room > 0), heldBy, rotation)
  for (let left = free; left > 0 && queues.length > 0;) {
    for (let i = 0; i < queues.length && left > 0; i++) {
      const application = queues[i] as Queue<T>
      const next = application.waiting.shift() as Demand<T>
      const given = slots.get(next.of) ?? 0
      const own = next.held + given
      if (own === 0 ? application.held < 2 * share * left : own < share * (share * left - application.held)) {
        slots.set(next.of, given + 1)
        application.held++
        left--
        if (given + 1 < next.room) application.waiting.push(next)
      }
      if (application.waiting.length === 0) queues.splice(i--, 1)
    }
  }
  return slots
}

function queuesOf<T> (
  demands: readonly Demand<T>[], heldBy: ReadonlyMap<string, number>, rotation: number
): Queue<T>[] {
  const byApplication = new Map<string, Queue<T>>()
  for (const demand of rotate(demands, rotation).sort(leastFirst)) {
    const own = byApplication.get(demand.applicationId)
    if (own !== undefined) own.waiting.push(demand)
    else byApplication.set(demand.applicationId, { held: heldBy.get(demand.applicationId) ?? 0, waiting: [demand] })
  }
  return rotate([...byApplication.values()], rotation).sort(leastFirst)
}

const leastFirst = (a: { held: number }, b: { held: number }) => a.held - b.held

function rotate<T> (list: readonly T[], by: number): T[] {
  const at = list.length === 0 ? 0 : by % list.length
  return [...list.slice(at), ...list.slice(0, at)]
}
