/** How results are written; `table` for people, the others for programs. */
export const outputFormats = ['table', 'json', 'csv'] as const

export type OutputFormat = (typeof outputFormats)[number]
