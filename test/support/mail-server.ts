import { SMTPServer } from 'smtp-server'
import type { Teardown } from './teardown.ts'

/** A mail server that keeps its mail; `refuses` is the number of deliveries that it rejects first. */
export async function mailServer (t: Teardown, { refuses = 0 } = {}) {
  const mails: { from: string, to: string[], text: string }[] = []
  let refused = 0
  const server = new SMTPServer({
    authOptional: true,
    disabledCommands: ['STARTTLS'],
    onMailFrom (_address, _session, done) {
      if (refused++ < refuses) return done(Object.assign(new Error('try again later'), { responseCode: 451 }))
      done()
    },
    onData (stream, { envelope }, done) {
      let raw = ''
      stream.on('data', chunk => { raw += String(chunk) })
      stream.on('end', () => {
        const text = raw.replaceAll('=\r\n', '').replaceAll('=3D', '=')
        mails.push({
          from: envelope.mailFrom === false ? '' : envelope.mailFrom.address,
          to: envelope.rcptTo.map(({ address }) => address), text
        })
        done()
      })
    }
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  t.teardown(() => new Promise(resolve => server.close(() => resolve())))
  const { port } = server.server.address() as { port: number }
  return { url: `smtp://127.0.0.1:${port}`, mails }
}
