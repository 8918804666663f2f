import { createClient, storageCache } from 'kalam-link'
import { kalamPlugin } from 'kalam-link/vue'
import { createPinia } from 'pinia'
import { createApp } from 'vue'
import App from './App.vue'
import CannotStart from './components/CannotStart.vue'
import type { Schema } from './schema'
import './style.css'

try {
  const kalam = createClient<Schema>({
    url: import.meta.env.VITE_KALAM_URL ?? '',
    apiKey: import.meta.env.VITE_KALAM_API_KEY ?? '',
    // The todos are there at once when the page is opened again, before the server has answered.
    cache: storageCache(),
  })
  createApp(App).use(kalamPlugin(kalam)).use(createPinia()).mount('#app')
} catch (error) {
  // There is no key yet, or no WebAssembly.
  createApp(CannotStart, { error }).mount('#app')
}
