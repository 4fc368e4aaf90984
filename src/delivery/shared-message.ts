/** A message that is not an event and is the same for all who get it: its bytes are made once a transport, whatever the number of sockets. */
export class SharedMessage {
  readonly name: 'message' | 'presence'
  /** JSON text of an object with at least one member. */
  readonly body: string
  /** Bytes that transports made of it, by their kind. */
  readonly encoded = new Map<string, Buffer>()

  constructor (name: 'message' | 'presence', body: string) {
    this.name = name
    this.body = body
  }
}
