/** What a caller may be. `user` < `service` < `admin`. */
export const roles = ['user', 'service', 'admin'] as const
export type Role = (typeof roles)[number]
