/**
 * Where one receiver of a followed query stands.
 *
 *   loading ──► behind ──► following
 *                 └── reads the log by itself, until it has what the group has
 *
 * Whatever comes may have been told already: by the snapshot, or by its own reading. So what it
 * gets is what lies after its position, and nothing else.
 */
import type { Sequence } from '../changes/sequence.js'

export type ReceiverState =
  | { readonly kind: 'loading' }
  | { readonly kind: 'behind'; readonly position: Sequence }
  | { readonly kind: 'following'; readonly position: Sequence }

export type ReceiverEvent =
  /** Its snapshot is complete, or its cursor was honoured: all up to `position` is told. */
  | { readonly kind: 'placed'; readonly position: Sequence }
  /** It has read the log on, up to `position`. */
  | { readonly kind: 'read'; readonly position: Sequence }
  /** The group has told all up to `position` to those who follow. */
  | { readonly kind: 'group-at'; readonly position: Sequence }
  /** The group tells changes up to `position`. */
  | { readonly kind: 'told'; readonly position: Sequence }

export interface ReceiverStep {
  readonly state: ReceiverState
  /** What is after it is to be delivered, of what the event brought; undefined for nothing. */
  readonly deliverAfter: Sequence | undefined
}

export function nextReceiverState(state: ReceiverState, event: ReceiverEvent): ReceiverStep {
  switch (event.kind) {
    case 'placed':
      return stay(state.kind === 'loading' ? { kind: 'behind', position: event.position } : state)
    case 'read':
      return state.kind === 'behind' ? deliver(state, event.position) : stay(state)
    case 'group-at':
      return stay(
        state.kind === 'behind' && state.position >= event.position
          ? { kind: 'following', position: state.position }
          : state,
      )
    case 'told':
      return state.kind === 'following' ? deliver(state, event.position) : stay(state)
  }
}

function stay(state: ReceiverState): ReceiverStep {
  return { state, deliverAfter: undefined }
}

/** A receiver that is ahead, by its snapshot, stays where it is. */
function deliver(
  state: ReceiverState & { readonly kind: 'behind' | 'following' },
  position: Sequence,
): ReceiverStep {
  if (position <= state.position) return stay(state)
  return { state: { kind: state.kind, position }, deliverAfter: state.position }
}
