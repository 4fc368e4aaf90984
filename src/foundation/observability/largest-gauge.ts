import { Gauge, type GaugeConfiguration } from 'prom-client'

/**
 * A gauge of the largest value that several sources report; 0 without any. Source ids are no labels, because scrapes
 * would reveal them.
 */
export class LargestGauge {
  readonly #values = new Map<string, number>()

  constructor (configuration: Omit<GaugeConfiguration<never>, 'labelNames' | 'collect' | 'aggregator'>) {
    const gauge: Gauge = new Gauge({
      ...configuration,
      aggregator: 'max',
      collect: () => gauge.set(Math.max(0, ...this.#values.values()))
    })
  }

  set (source: string, value: number): void {
    this.#values.set(source, value)
  }

  remove (source: string): void {
    this.#values.delete(source)
  }
}
