interface ImportMetaEnv {
  readonly VITE_KALAM_URL?: string
  readonly VITE_KALAM_API_KEY?: string
}
