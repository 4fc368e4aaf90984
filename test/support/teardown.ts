/** The part of tap's test object that clean-up requires. */
export interface Teardown { teardown (work: () => Promise<void> | void): void }

/** Clean-up that can also fail the test. */
export interface Verdict extends Teardown { fail (message: string): unknown }
