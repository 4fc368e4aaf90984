import { useState } from 'react'
import { useAction } from '../app/actions.ts'
import { Button } from '../components/button.tsx'
import { CopyAs } from '../components/copy-as.tsx'
import { Form, useForm } from '../components/form.tsx'
import { RuleRow } from './rule-row.tsx'
import { changesOf, valuesOf, type RuleUpdate } from './rule-values.ts'
import type { AlertRule } from './words.ts'

/** Edits the rules. Only changed ones are sent, and a refusal appears at its rule. */
export function RulesForm ({ rules, onDiscard }: { rules: readonly AlertRule[]; onDiscard: () => void }) {
  const [sent, setSent] = useState<readonly RuleUpdate[]>([])
  const save = useAction((api, body: RuleUpdate[]) => api.PUT('/api/alerts/rules', { body }), {
    invalidates: ['/api/alerts'],
    isErrorShown: true,
    done: (_, updates) => (updates.length === 1 ? 'Rule saved' : `${updates.length} rules saved`)
  })
  const form = useForm(
    valuesOf(rules),
    async values => {
      const updates = changesOf(rules, values)
      setSent(updates)
      await save.mutateAsync(updates)
    },
    { mayLeave: false }
  )
  const changes = changesOf(rules, form.values)
  // The server's details are named by the position of the rule in what was sent.
  const errorOf = (rule: string, field: string) => {
    const i = sent.findIndex(update => update.rule === rule)
    return i === -1 ? undefined : form.error(`${i}/${field}`)
  }
  return (
    <Form form={form} fields={sent.map((_, i) => String(i))} className='grid'>
      <ul>
        {rules.map(rule => {
          const values = form.values[rule.rule]
          return (
            values !== undefined && (
              <RuleRow
                key={rule.rule}
                rule={rule}
                values={values}
                isChanged={changes.some(change => change.rule === rule.rule)}
                errors={{
                  threshold: errorOf(rule.rule, 'threshold'),
                  forSeconds: errorOf(rule.rule, 'forSeconds')
                }}
                onChange={change => form.set({ [rule.rule]: { ...values, ...change } })}
              />
            )
          )
        })}
      </ul>
      <div className='sticky bottom-0 flex flex-wrap items-center justify-end gap-2 border-t border-line bg-surface p-3'>
        <span className='mr-auto text-muted' role='status'>
          {changes.length === 0
            ? 'No changes'
            : `${changes.length} ${changes.length === 1 ? 'rule' : 'rules'} changed, not saved yet`}
        </span>
        <CopyAs request={{ method: 'PUT', path: '/api/alerts/rules', body: changes }} />
        <Button disabled={changes.length === 0} onClick={onDiscard}>
          Discard
        </Button>
        <Button kind='primary' type='submit' disabled={changes.length === 0} isBusy={form.isBusy}>
          Save rules
        </Button>
      </div>
    </Form>
  )
}
