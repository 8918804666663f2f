import { ByteSink } from '#src/protocol/byte-sink.js'
import { builtinTypes } from '#src/protocol/builtin-types.js'
import { encodeRows, rowEncoder, type RowShape } from '#src/protocol/row-json.js'
import type { ResultColumn, TypeInfo } from '#src/protocol/type-info.js'
import { dataRow } from './data-rows.js'

const typesByName = new Map([...builtinTypes.values()].map((type) => [type.name, type]))

export function typeNamed(name: string): TypeInfo {
  const type = typesByName.get(name)
  if (type === undefined) throw new Error(`no builtin type ${name}`)
  return type
}

/** Columns from `name type` pairs. */
export function columnsOf(...pairs: readonly (readonly [string, string])[]): ResultColumn[] {
  return pairs.map(([name, type]) => ({ name, type: typeNamed(type) }))
}

export interface EncodeOptions {
  readonly columns: readonly ResultColumn[]
  readonly frames: Uint8Array
  readonly shape: RowShape
  readonly separator?: 'comma' | 'newline'
}

/** What `encodeRows` writes, as text. Begins with a tiny buffer, so that it must grow. */
export function encodedText(options: EncodeOptions): string {
  const out = new ByteSink(1)
  const encoder = rowEncoder(options.columns, options.shape)
  encodeRows({ frames: options.frames, encoder, separator: options.separator ?? 'comma', out })
  return Buffer.from(out.view()).toString('utf8')
}

/** The JSON text of one value. */
export function encodedValue(typeName: string, text: string | Uint8Array | null): string {
  const columns = [{ name: 'value', type: typeNamed(typeName) }]
  return encodedText({ columns, frames: dataRow([text]), shape: 'array' }).slice(1, -1)
}
