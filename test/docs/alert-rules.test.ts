import t from 'tap'
import { rules, type Rule } from '../../src/alerts/rules.ts'
import { generatedPart } from './generated.ts'

const columnsMax = 120

function sectionOf ([name, { severity, threshold, forSeconds, target, description, action }]: [string, Rule]): string {
  const limits = threshold === undefined
    ? 'no threshold'
    : `threshold ${threshold.default}${threshold.unit === 'count' ? '' : ` ${threshold.unit}`}, ` +
      `from ${threshold.min} to ${threshold.max}`
  const delay = forSeconds === 0 ? 'at once' : `after ${forSeconds} seconds`
  return [
    `### \`${name}\``,
    '',
    wrap(description),
    '',
    wrap(`- Default: \`${severity}\`, ${delay}, ${limits}. Target: ${target}.`, '  '),
    wrap(`- ${action}`, '  ')
  ].join('\n')
}

function wrap (text: string, indent = ''): string {
  const lines: string[] = []
  let line = ''
  for (const word of text.split(' ')) {
    const longer = line === '' ? word : `${line} ${word}`
    if (longer.length <= columnsMax) {
      line = longer
    } else {
      lines.push(line)
      line = indent + word
    }
  }
  return [...lines, line].join('\n')
}

t.test('docs/ALERTS.md has every rule with its defaults and instructions', async t => {
  const sections = Object.entries(rules).map(sectionOf)
  const { found, wanted } = generatedPart('docs/ALERTS.md', 'rules', sections.join('\n\n'))
  t.equal(found, wanted, 'run the test with UPDATE_DOCS=1 to update it')
})
