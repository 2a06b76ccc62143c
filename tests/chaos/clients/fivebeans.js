// npm's fivebeans as a client of the chaos rig: see README.md.
const crypto = require('node:crypto')
const { createRequire } = require('node:module')
const path = require('node:path')

// Its version is that of the end-to-end tests.
const { client: Client } = createRequire(path.join(__dirname, '../../e2e/clients/node/'))('fivebeans')

const TUBES = ['red', 'green']
const [host, port, conn, seed] = process.argv.slice(2)
const WORDS = { NOT_FOUND: 'not-found', TIMED_OUT: 'timed-out', DEADLINE_SOON: 'deadline-soon' }

let state = Number(seed)
const below = bound => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    return Math.floor(state / 2 ** 32 * bound)
}
const now = () => process.hrtime.bigint()
const say = (invoke, complete, op, result, more = {}) => process.stdout.write(
    [invoke, complete ?? '-', conn, op, result, ...Object.entries(more).map(([k, v]) => `${k}=${v}`)].join(' ') + '\n')

const queue = new Client(host, Number(port))
let stopped = false
let asking = null // what has no answer yet

function ended(why) {
    if (stopped && !asking) {
        return
    }
    if (asking) {
        say(asking.invoke, null, asking.op, 'unknown', asking.asked)
    }
    say(now(), null, 'close', 'unknown', { by: 'server' })
    process.stderr.write(`the connection has ended: ${why}\n`)
    process.exitCode = 1
    process.stdout.write('', () => process.exit(1))
}

// The words of the answer, or null. `answer` makes more of them for the record.
const ask = (op, asked, [command, ...words], answer = () => ({})) => new Promise(resolve => {
    asking = { invoke: now(), op, asked }
    queue[command](...words, (error, ...values) => {
        const { invoke } = asking
        asking = null
        if (error && !WORDS[error]) {
            process.stderr.write(`${op}: ${error}\n`)
        }
        say(invoke, now(), op, error ? WORDS[error] ?? 'error' : 'ok', error ? asked : { ...asked, ...answer(...values) })
        resolve(error ? null : values)
    })
})

let used = null
async function use(tube) {
    if (used !== tube) {
        await ask('use', { tube }, ['use', tube])
        used = tube
    }
}

async function put(tube) {
    const token = crypto.randomBytes(16).toString('hex')
    const body = Buffer.from(`${token}L${'node \0\r\n'.repeat(below(40))}`)
    const [pri, delay] = [below(2000), below(40) === 0 ? 1 : 0]
    await use(tube)
    await ask('put', { tube, token, len: body.length, pri, delay, ttr: 120 }, ['put', pri, delay, 120, body],
        id => ({ id }))
}

async function reserve(timeout) {
    const command = timeout < 0 ? ['reserve'] : ['reserve_with_timeout', timeout]
    const values = await ask('reserve', { timeout }, command,
        (id, body) => ({ id, token: body.toString('latin1', 0, 32), len: body.length }))
    return values && values[0]
}

async function finish(id, turn) {
    const pri = 1 + below(2000)
    if (turn % 10 === 0) {
        await ask('release', { id, pri }, ['release', id, pri, 0])
    } else if (turn % 10 === 1) {
        await ask('bury', { id, pri }, ['bury', id, pri])
    } else {
        if (turn % 3 === 0) {
            await ask('touch', { id }, ['touch', id])
        }
        await ask('delete', { id }, ['destroy', id])
    }
}

async function main() {
    await new Promise((resolve, reject) => queue.on('connect', resolve).on('error', reject).connect())
    say(now(), now(), 'connect', 'unknown')
    queue.on('error', ended).on('close', () => ended('closed'))
    for (const tube of TUBES) {
        await ask('watch', { tube }, ['watch', tube])
    }
    await ask('ignore', { tube: 'default' }, ['ignore', 'default'])
    for (let turn = 0; !stopped; turn++) {
        const tube = TUBES[below(2)]
        await put(tube)
        const id = await reserve(turn % 7 === 0 ? -1 : 1)
        if (id) {
            await finish(id, turn)
        }
        if (turn % 20 === 0) {
            await use(tube)
            await ask('kick', { tube, bound: 5 }, ['kick', 5], count => ({ count }))
        }
    }
    say(now(), null, 'close', 'unknown')
    queue.end()
}

process.stdin.on('end', () => { stopped = true }).resume()
main().catch(error => {
    process.stderr.write(`${error.stack}\n`)
    process.exitCode = 1
    queue.end()
})
