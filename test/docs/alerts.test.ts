import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import t from 'tap'
import { parse } from 'yaml'
import { read, root } from '../support/repository.ts'

/* promtool tests every alert rule with series for which it fires and series for which it does not. */

interface Case { name: string, alert_rule_test: { alertname: string, exp_alerts: unknown[] }[] }

const promtool = (...args: string[]) => spawnSync('promtool', args, { encoding: 'utf8' })
const isMissing = promtool('--version').error !== undefined
const isCi = process.env['CI'] !== undefined
const skip = isMissing && !isCi && 'promtool is not installed (Debian: apt-get install prometheus)'

t.test('every rule has a case in which it fires, and one in which it does not', async t => {
  const { groups } = parse(read('docs/grafana/alerts.yaml')) as { groups: { rules: { alert: string }[] }[] }
  const { tests } = parse(read('docs/grafana/alerts.test.yaml')) as { tests: Case[] }
  const cases = tests.flatMap(test => test.alert_rule_test)
  const alerts = groups.flatMap(({ rules }) => rules.map(({ alert }) => alert))
  t.ok(alerts.length > 15)
  for (const alert of alerts) {
    const own = cases.filter(({ alertname }) => alertname === alert)
    t.ok(own.some(({ exp_alerts: expected }) => expected.length > 0), `${alert} fires`)
    t.ok(own.some(({ exp_alerts: expected }) => expected.length === 0), `${alert} has a case in which it does not fire`)
  }
  t.same(new Set(cases.map(({ alertname }) => alertname)), new Set(alerts), 'no case is for a missing rule')
})

t.test('promtool accepts the rules, and each case has the expected result', { skip }, async t => {
  for (
    const args of [['check', 'rules', join(root, 'docs/grafana/alerts.yaml')], [
      'test', 'rules', join(root, 'docs/grafana/alerts.test.yaml')
    ]]
  ) {
    const { status, stdout, stderr, error } = promtool(...args)
    t.equal(error, undefined, 'promtool is installed')
    t.equal(status, 0, `${stdout}${stderr}`)
  }
})
