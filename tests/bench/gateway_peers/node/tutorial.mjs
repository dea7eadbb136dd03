// What a request for /api/test/user passes in the tutorial's app, with its key parsed
// once: PORT SECRET
import { createSecretKey } from 'node:crypto'
import cors from 'cors'
import express from 'express'
import jwt from 'jsonwebtoken'

const [port, secret] = process.argv.slice(2)
const key = createSecretKey(Buffer.from(secret))
const app = express()
app.use(cors({ origin: 'http://localhost:8081' }))
app.use(express.json())
app.use(express.urlencoded({ extended: true }))
app.get('/', (_, response) => response.json({ message: 'Welcome.' }))

const unused = (_, response) => response.status(404).end()
function allowHeaders(_, response, next) {
  response.header('Access-Control-Allow-Headers', 'x-access-token, Origin, Content-Type, Accept')
  next()
}
// Each of the tutorial's two route files begins with this, for every request.
app.use(allowHeaders)
app.post('/api/auth/signup', unused)
app.post('/api/auth/signin', unused)
app.use(allowHeaders)
app.get('/api/test/all', unused)

function verifyToken(request, response, next) {
  const token = request.headers['x-access-token']
  if (!token) return response.status(403).send({ message: 'No token provided!' })
  jwt.verify(token, key, (error, claims) => {
    if (error) return response.status(401).send({ message: 'Unauthorized!' })
    request.userId = claims.id
    next()
  })
}

app.get('/api/test/user', [verifyToken], (_, response) => response.status(200).send('User Content.'))
app.listen(Number(port), '127.0.0.1')
