/** The part of tap's test object that clean-up requires. */
export interface Teardown { teardown (work: () => Promise<void> | void): void }
