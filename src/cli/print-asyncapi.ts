import { writeFile } from 'node:fs/promises'
import { createAsyncApiDocument } from '../delivery/asyncapi/document.ts'

/** `npm run asyncapi`: writes the generated document to docs/asyncapi.json, so that a review shows every change. */
await writeFile('docs/asyncapi.json', `${JSON.stringify(createAsyncApiDocument(), null, 2)}\n`)
