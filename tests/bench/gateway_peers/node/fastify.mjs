import Fastify from 'fastify'
import httpProxy from '@fastify/http-proxy'

const [port, upstream] = process.argv.slice(2)
const app = Fastify({ bodyLimit: 2 * 1024 * 1024 })
app.register(httpProxy, { upstream: `http://${upstream}`, undici: { connections: 64, pipelining: 1 } })
await app.listen({ host: '127.0.0.1', port: Number(port) })
