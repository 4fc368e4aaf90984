import {
  answering, authenticated, authentication, description, failure, greeting, int16, int32, message, ready, row, text,
  welcome, type Scenario
} from './hostile-server.ts'

/* Messages of servers that ended the process or kept it busy, or could have. */

const big = 2 ** 31 - 1
const noise = (bytes: number) => Buffer.from(Array.from({ length: bytes }, (_, i) => (i * 7919 + 13) % 256))
const greetThen = (work: NonNullable<Scenario['onMessage']>): Scenario => ({
  onStartup: peer => peer.send(welcome), onMessage: work
})
const endlessly = (...parts: Buffer[]): Scenario =>
  greetThen((peer, type) => {
    if (type !== 'Q' && type !== 'S') return
    peer.send(...parts.slice(0, -1))
    peer.endlessly(parts.at(-1) as Buffer)
  })

export const beforeTheSession: Record<string, Scenario> = {
  AuthenticationGSS: greeting(authentication(7)),
  AuthenticationGSSContinue: greeting(authentication(8, noise(20))),
  AuthenticationSSPI: greeting(authentication(9)),
  AuthenticationKerberosV5: greeting(authentication(2)),
  AuthenticationSCMCredential: greeting(authentication(6)),
  'an authentication code that does not exist': greeting(authentication(-7)),
  'an authentication request without a code': greeting(message('R')),
  'AuthenticationMD5Password without its salt': greeting(authentication(5)),
  'AuthenticationMD5Password with a salt of two bytes': greeting(authentication(5, noise(2))),
  'AuthenticationCleartextPassword that is too long': greeting(authentication(3, noise(40))),
  'AuthenticationSASL without a mechanism': greeting(authentication(10, Buffer.from([0]))),
  'AuthenticationSASL without an end': greeting(authentication(10, Buffer.from('SCRAM-SHA-256'))),
  'AuthenticationSASL with unknown mechanisms': greeting(authentication(10, text('OAUTHBEARER'), Buffer.from([0]))),
  'AuthenticationSASLContinue first': greeting(authentication(11, Buffer.from('r=a,s=b,i=1'))),
  'AuthenticationSASLFinal first': greeting(authentication(12, Buffer.from('v=abc'))),
  'malformed SCRAM': scram('hello'),
  'SCRAM with a foreign nonce': scram('r=foreign,s=c2FsdA==,i=4096'),
  'SCRAM with two billion iterations': scram(nonce => `r=${nonce}x,s=c2FsdA==,i=2000000000`),
  'SCRAM with a nonce of 30,000 characters': scram(nonce => `r=${nonce}${'x'.repeat(30_000)},s=c2FsdA==,i=0`),
  'AuthenticationOk during SCRAM': scram(authenticated),
  'an unterminated ErrorResponse': greeting(message('E', [Buffer.from('SFATAL')])),
  'an ErrorResponse without content': greeting(message('E')),
  'an ErrorResponse with trailing bytes': greeting(message('E', [text('SFATAL'), Buffer.from([0]), noise(3)])),
  'an unterminated NoticeResponse': greeting(authenticated, message('N', [Buffer.from('SNOTICE')])),
  'a ParameterStatus without a value': greeting(authenticated, message('S', [text('server_version')])),
  'BackendKeyData of two bytes': greeting(authenticated, message('K', [noise(2)])),
  'ReadyForQuery before authentication': greeting(ready),
  'ReadyForQuery without a status': greeting(authenticated, message('Z')),
  'ReadyForQuery with an unknown status': greeting(authenticated, message('Z', [Buffer.from('?')])),
  'a row before authentication': greeting(row('a')),
  'a row before the session is ready': greeting(authenticated, row('a')),
  'AuthenticationOk twice': greeting(authenticated, authenticated),
  NegotiateProtocolVersion: greeting(message('v', [int32(0), int32(0)])),
  'a length of -1': greeting(message('R', [int32(0)], -1)),
  'a length of 0': greeting(message('R', [int32(0)], 0)),
  'a length of 3': greeting(message('R', [int32(0)], 3)),
  'a length of 2^31-1': greeting(message('R', [int32(0)], big)),
  'a length of -2^31': greeting(message('S', [int32(0)], -(2 ** 31))),
  'an unknown type': greeting(message('?')),
  'a type of NUL': greeting(Buffer.alloc(64)),
  noise: greeting(noise(5000)),
  'an HTTP server': {
    onConnection: socket => {
      socket.end('HTTP/1.1 400 Bad Request\r\n\r\n')
      return true
    }
  },
  'endless ParameterStatus': {
    onStartup: peer => {
      peer.send(authenticated)
      peer.endlessly(message('S', [text('a'), text('b'.repeat(1000))]))
    }
  },
  'endless NoticeResponses': {
    onStartup: peer => {
      peer.send(authenticated)
      peer.endlessly(message('N', [text('SNOTICE'), text('Mhello'), Buffer.from([0])]))
    }
  },
  'endless noise': { onStartup: peer => peer.endlessly(noise(1000)) },
  'a server that accepts and closes': {
    onConnection: socket => {
      socket.destroy()
      return true
    }
  },
  'a server that closes within a message': {
    onStartup: peer => {
      peer.socket.end(welcome.subarray(0, 11))
    }
  }
}

function scram (answer: string | Buffer | ((nonce: string) => string)): Scenario {
  return {
    onStartup: peer => peer.send(authentication(10, text('SCRAM-SHA-256'), Buffer.from([0]))),
    onMessage (peer, _type, body) {
      const nonce = /r=([^,]*)/.exec(body.toString())?.[1] ?? ''
      peer.send(
        Buffer.isBuffer(answer)
          ? answer
          : authentication(11, Buffer.from(typeof answer === 'string' ? answer : answer(nonce)))
      )
    }
  }
}

export const duringAQuery: Record<string, Scenario> = {
  'a DataRow of -1 fields': answering(description('a'), message('D', [int16(-1)]), ready),
  'a DataRow of 32767 fields in 10 bytes': answering(description('a'), message('D', [int16(32_767), noise(8)]), ready),
  'a DataRow with a value of -2 bytes': answering(description('a'), message('D', [int16(1), int32(-2)]), ready),
  'a DataRow with a value of 2^31-1 bytes': answering(description('a'), message('D', [int16(1), int32(big)]), ready),
  'a DataRow with trailing bytes': answering(
    description('a'), message('D', [int16(1), int32(1), noise(9)]), ready
  ),
  'a DataRow without a description': answering(row('a'), ready),
  'a DataRow with more fields than were described': answering(description('a'), row('a', 'b'), ready),
  'a RowDescription of -1 fields': answering(message('T', [int16(-1)]), ready),
  'a RowDescription of 32767 fields': answering(message('T', [int16(32_767), text('a')]), ready),
  'a RowDescription without an end': answering(message('T', [int16(1), Buffer.from('abcdef')]), ready),
  'a CommandComplete without NUL': answering(message('C', [Buffer.from('SELECT 1')]), ready),
  'an unterminated ErrorResponse in an answer': answering(message('E', [Buffer.from('SERROR')]), ready),
  'a NotificationResponse without a channel': answering(message('A', [int32(1)]), ready),
  'a CopyInResponse': answering(message('G', [Buffer.from([0]), int16(0)])),
  'a CopyOutResponse': answering(message('H', [Buffer.from([0]), int16(-1)])),
  'a CopyBothResponse': answering(message('W', [Buffer.from([0]), int16(0)])),
  CopyData: answering(message('d', [noise(30)])),
  'a ParameterDescription of -1 parameters': answering(message('t', [int16(-1)])),
  PortalSuspended: answering(message('s')),
  'a second authentication': answering(authenticated, ready),
  'two ends of one query': answering(ready, ready),
  'an error and then rows': answering(failure('42501', 'no'), description('a'), row('a'), ready),
  'nothing but the end': answering(ready),
  'an answer with other columns': answering(description('x'), row('y'), message('C', [text('SELECT 1')]), ready),
  'an answer without rows': answering(description('version'), message('C', [text('SELECT 0')]), ready),
  'an error with a text of 100,000 characters': answering(failure('XX000', 'x'.repeat(100_000)), ready),
  'an endless DataRow': endlessly(
    description('a'), Buffer.concat([Buffer.from('D'), int32(1_500_000_000), int16(1), int32(1_400_000_000)]),
    noise(1000)
  ),
  'endless DataRows': endlessly(description('a'), row('x'.repeat(1000))),
  'endless empty DataRows': endlessly(description(), row()),
  'endless RowDescriptions': endlessly(description('a', 'b')),
  'endless CommandCompletes': endlessly(message('C', [text('SELECT 0')])),
  'endless NoticeResponses in an answer': endlessly(message('N', [text('SNOTICE'), text('Mhello'), Buffer.from([0])])),
  'endless errors': endlessly(failure('42501', 'no')),
  'an unknown type in an answer': answering(message('\u00ff', [noise(4)])),
  'noise in an answer': answering(noise(3000)),
  'a server that closes within an answer': greetThen(peer => {
    peer.socket.end(description('a').subarray(0, 9))
  })
}
