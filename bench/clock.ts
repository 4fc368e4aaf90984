/** Returns epoch microseconds of the machine's clock, which all processes of a run share. */
export const nowUs = (): number => Math.round((performance.timeOrigin + performance.now()) * 1000)
