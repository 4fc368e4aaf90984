/** Who could use how many slots more, whose it is, and how many it holds. */
export interface Demand<T> { of: T, applicationId: string, room: number, held: number }

/** Nobody takes a slot more who holds so many times what is left to others. */
const share = 2

interface Queue<T> { held: number, waiting: Demand<T>[] }

/**
 * Deals slots out one by one: in turn to each application, and within an application to each endpoint in turn, to those
 * that hold least first. Slots come back only when endpoints answer, so some are always left for whoever comes next:
 * neither an application nor an endpoint of it takes more than its share of what is left; an endpoint's first slot
 * counts half. Begins where the rotation says, so that no one is always last.
 */
export function allot<T> (
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
    if (own === undefined) { byApplication.set(demand.applicationId, { held: heldBy.get(demand.applicationId) ?? 0, waiting: [demand] }) } else own.waiting.push(demand)
  }
  return rotate([...byApplication.values()], rotation).sort(leastFirst)
}

const leastFirst = (a: { held: number }, b: { held: number }) => a.held - b.held

function rotate<T> (list: readonly T[], by: number): T[] {
  const at = list.length === 0 ? 0 : by % list.length
  return [...list.slice(at), ...list.slice(0, at)]
}
