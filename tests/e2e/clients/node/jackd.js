// Every kind of command with npm's jackd, unmodified.
// usage: node jackd.js HOST PORT
const assert = require('node:assert/strict')
const Jackd = require('jackd').default ?? require('jackd')

const failure = promise => promise.then(() => assert.fail('no error'), error => error.message)
const value = (yaml, key) => yaml.match(new RegExp(`^${key}: "?([^"\n]*)"?$`, 'm'))[1]

async function main() {
    const queue = new Jackd()
    await queue.connect({ host: process.argv[2], port: Number(process.argv[3]) })
    await queue.use('jackd-tube')
    assert.equal(await queue.watch('jackd-tube'), 2)
    assert.equal(await queue.ignore('default'), 1)
    assert.equal(await queue.getCurrentTube(), 'jackd-tube')
    assert.match(await queue.listTubes(), /^- jackd-tube$/m)
    assert.match(await queue.listTubesWatched(), /^- jackd-tube$/m)

    const body = Buffer.from('jackd \0 \n end') // it finds the end of a body by its CR LF
    const id = await queue.put(body.toString(), { priority: 7, delay: 0, ttr: 90 })
    let job = await queue.reserve()
    assert.equal(job.id, id)
    assert.deepEqual(job.payload, body)
    const stats = await queue.statsJob(id)
    assert.deepEqual(['state', 'pri', 'ttr', 'tube'].map(k => value(stats, k)), ['reserved', '7', '90', 'jackd-tube'])
    await queue.touch(id)
    await queue.release(id, { priority: 5, delay: 0 })
    assert.equal((await queue.peekReady()).id, id)
    job = await queue.reserveWithTimeout(5)
    await queue.bury(id, 9)
    assert.equal((await queue.peekBuried()).id, id)
    assert.equal(await queue.kick(10), 1)
    job = await queue.reserveJob(id)
    await queue.bury(id, 9)
    await queue.kickJob(id)
    job = await queue.reserve()
    const after = await queue.statsJob(id)
    assert.deepEqual(['reserves', 'releases', 'buries', 'kicks'].map(k => value(after, k)), ['4', '1', '2', '2'])
    assert.deepEqual((await queue.peek(id)).payload, body)
    await queue.delete(id)
    assert.equal(await failure(queue.delete(id)), 'NOT_FOUND')
    assert.equal(await failure(queue.reserveWithTimeout(0)), 'TIMED_OUT')

    const delayed = await queue.put('later', { delay: 600 })
    assert.equal((await queue.peekDelayed()).id, delayed)
    assert.equal(await queue.kick(1), 1)
    await queue.pauseTube('jackd-tube', { delay: '600\r\n' }) // jackd forgets the end of this line
    const tube = await queue.statsTube('jackd-tube')
    assert.deepEqual(['pause', 'cmd-pause-tube', 'current-jobs-ready'].map(k => value(tube, k)), ['600', '1', '1'])
    assert.equal(await failure(queue.reserveWithTimeout(0)), 'TIMED_OUT')
    await queue.pauseTube('jackd-tube', { delay: '0\r\n' })
    await queue.delete((await queue.reserve()).id)
    assert.equal(value(await queue.stats(), 'current-jobs-reserved'), '0')
    await queue.quit()
    console.log('jackd: every command as it should be')
}

main().catch(error => {
    console.error(error)
    process.exit(1)
})
