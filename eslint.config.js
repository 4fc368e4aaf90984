import neostandard, { plugins } from 'neostandard'

export default [
  { ignores: ['dist/', '.data/', '.tap/', 'coverage/', 'openapi.json'] },
  ...neostandard({ ts: true, env: ['node'] }),
  {
    files: ['**/*.ts'],
    languageOptions: { parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname } },
    plugins: { '@typescript-eslint': plugins['typescript-eslint'].plugin },
    rules: {
      // A TypeBox schema and the type that it describes share their name.
      '@typescript-eslint/no-redeclare': 'off',
      'no-void': ['error', { allowAsStatement: true }],
      '@stylistic/object-property-newline': 'off',
      // tap waits for its subtests by itself.
      '@typescript-eslint/no-floating-promises': ['error', {
        allowForKnownSafePromises: [{ from: 'package', package: '@tapjs/core', name: 'PromiseWithSubtest' }]
      }],
      '@typescript-eslint/no-misused-promises': ['error', { checksVoidReturn: false }],
      '@typescript-eslint/await-thenable': 'error',
      '@typescript-eslint/no-explicit-any': 'error',
      '@typescript-eslint/no-non-null-assertion': 'error',
      '@typescript-eslint/naming-convention': ['error', {
        selector: ['variable', 'classProperty'],
        // A variable that is named after an environment variable keeps the name of it.
        filter: { regex: '^(NODE_ENV|TZ)$', match: false },
        format: null,
        custom: { regex: '^[A-Z][A-Z0-9_]+$', match: false }
      }],
      '@typescript-eslint/consistent-type-imports': 'error',
      '@typescript-eslint/no-import-type-side-effects': 'error'
    }
  }
]
