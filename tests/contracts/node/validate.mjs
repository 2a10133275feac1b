// Judges an AsyncAPI document with the official parser: prints {"valid", "diagnostics"} as JSON.
import { readFileSync } from 'node:fs'
import { Parser } from '@asyncapi/parser'

const { document, diagnostics } = await new Parser().parse(readFileSync(process.argv[2], 'utf8'))
const told = diagnostics.map(({ severity, code, message, path }) => ({ severity, code, message, path: path.join('/') }))
console.log(JSON.stringify({ valid: document !== undefined, diagnostics: told }))
