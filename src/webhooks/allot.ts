/** Who could use how many slots, and whose it is. */
export interface Demand<T> { of: T, applicationId: string, room: number }

/**
 * Deals slots out one by one: in turn to each application, and within an application to each endpoint in turn. Whoever wants a
 * thousand waits behind nobody who wants one, and keeps nobody waiting. Begins where the rotation says, so that no one is always last.
 */
export function allot<T> (demands: readonly Demand<T>[], free: number, rotation = 0): Map<T, number> {
  const slots = new Map<T, number>()
  const wanted = demands.filter(({ room }) => room > 0)
  if (wanted.reduce((sum, { room }) => sum + room, 0) <= free) {
    for (const { of, room } of wanted) slots.set(of, room)
    return slots
  }
  const queues = queuesOf(wanted, rotation)
  for (let left = free; left > 0 && queues.length > 0;) {
    for (let i = 0; i < queues.length && left > 0; i++) {
      const queue = queues[i] as Demand<T>[]
      const next = queue.shift() as Demand<T>
      const given = (slots.get(next.of) ?? 0) + 1
      slots.set(next.of, given)
      left--
      if (given < next.room) queue.push(next)
      if (queue.length === 0) queues.splice(i--, 1)
    }
  }
  return slots
}

function queuesOf<T> (demands: readonly Demand<T>[], rotation: number): Demand<T>[][] {
  const byApplication = new Map<string, Demand<T>[]>()
  for (const demand of rotate(demands, rotation)) {
    const own = byApplication.get(demand.applicationId)
    if (own === undefined) byApplication.set(demand.applicationId, [demand])
    else own.push(demand)
  }
  return rotate([...byApplication.values()], rotation)
}

function rotate<T> (list: readonly T[], by: number): T[] {
  const at = list.length === 0 ? 0 : by % list.length
  return [...list.slice(at), ...list.slice(0, at)]
}
