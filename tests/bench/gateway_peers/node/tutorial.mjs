// What the tutorial serves at /api/test/user, with its key parsed once: PORT SECRET
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

function verifyToken(request, response, next) {
  const token = request.headers['x-access-token']
  if (!token) return response.status(403).send({ message: 'No token provided!' })
  jwt.verify(token, key, (error, claims) => {
    if (error) return response.status(401).send({ message: 'Unauthorized!' })
    request.userId = claims.id
    next()
  })
}

app.get('/api/test/user', verifyToken, (_, response) => response.status(200).send('User Content.'))
app.listen(Number(port), '127.0.0.1')
