import type { RangeVar } from 'libpg-query'
import type { TableShape } from '../table-shape.js'
import type { Scope } from './scoped-tree.js'

/** Finds the table that a reference means, if it is one the catalog knows. */
export type FindTable = (table: RangeVar, scope?: Scope) => TableShape | undefined
