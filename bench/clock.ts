/** Epoch microseconds by the machine's clock: the same for every process of a run. */
export const nowUs = (): number => Math.round((performance.timeOrigin + performance.now()) * 1000)
