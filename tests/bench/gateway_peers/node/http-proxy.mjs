import http from 'node:http'
import httpProxy from 'http-proxy'

const [port, upstream] = process.argv.slice(2)
const agent = new http.Agent({ keepAlive: true, maxSockets: 64 })
const proxy = httpProxy.createProxyServer({ target: `http://${upstream}`, agent })
http.createServer((request, response) => proxy.web(request, response)).listen(Number(port), '127.0.0.1')
