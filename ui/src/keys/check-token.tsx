import { decodeToken, type RealtimeError } from '@realtime-platform/client'
import { useMutation } from '@tanstack/react-query'
import { unwrap } from '@realtime-platform/client/admin'
import { useState } from 'react'
import { apiFor } from '../app/api.ts'
import { Badge } from '../components/badge.tsx'
import { Button } from '../components/button.tsx'
import { CopyAs } from '../components/copy-as.tsx'
import { ErrorNote } from '../components/error-note.tsx'
import { TextAreaField } from '../components/field.tsx'
import { JsonView } from '../components/json-view.tsx'
import { Properties } from '../components/properties.tsx'
import { Time } from '../components/time.tsx'

/** Shows the claims of a token, and whether the server accepts it. The token stays in this field. */
export function CheckToken () {
  const [text, setText] = useState('')
  const token = text.trim().replace(/^Bearer\s+/i, '')
  const claims = token === '' ? null : decodeToken(token)
  const verify = useMutation<unknown, RealtimeError, string>({
    mutationFn: token => unwrap(apiFor(null).POST('/auth/verify', { body: { token } }))
  })
  return (
    <div className='grid gap-4'>
      <TextAreaField
        label='Token'
        rows={4}
        className='font-mono text-xs break-all'
        value={text}
        placeholder='eyJ…'
        error={token !== '' && claims === null ? 'This is not a JWT' : undefined}
        onChange={event => {
          setText(event.target.value)
          verify.reset()
        }}
      />
      {claims !== null && (
        <>
          <Properties
            items={[
              [
                'Signature',
                verify.isSuccess
                  ? (
                    <Badge key='ok' tone='ok'>
                      valid
                    </Badge>
                    )
                  : verify.isError
                    ? (
                      <Badge key='no' tone='critical'>
                        refused
                      </Badge>
                      )
                    : (
                      <span key='unknown' className='text-muted'>
                        not verified yet
                      </span>
                      )
              ],
              ['Issued', <Time key='iat' at={msOf(claims['iat'])} isExact />],
              ['Expires', <Expiry key='exp' at={msOf(claims['exp'])} />]
            ]}
          />
          <JsonView value={claims} label='Claims' />
          <div className='flex gap-2'>
            <Button isBusy={verify.isPending} onClick={() => verify.mutate(token)}>
              Verify signature
            </Button>
            <CopyAs request={{ method: 'POST', path: '/auth/verify', body: { token: '$TOKEN' } }} />
          </div>
          {verify.error !== null && <ErrorNote error={verify.error} />}
        </>
      )}
    </div>
  )
}

const msOf = (seconds: unknown): number | null => (typeof seconds === 'number' ? seconds * 1000 : null)

const Expiry = ({ at }: { at: number | null }) => (
  <span className='inline-flex items-center gap-2'>
    {at === null ? 'never' : <Time at={at} isExact />}
    {at !== null && at < Date.now() && <Badge tone='warning'>expired</Badge>}
  </span>
)
