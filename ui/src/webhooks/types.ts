import type { paths } from '@realtime-platform/client/admin'

type PostPath = { [Path in keyof paths]: paths[Path] extends { post: object } ? Path : never }[keyof paths]

/** The body of a successful POST. */
export type DataOfAction<Path extends PostPath> = paths[Path] extends {
  post: { responses: { 200: { content: infer Content } } }
}
  ? Content[keyof Content]
  : never
