// Every kind of command with npm's fivebeans, unmodified.
// usage: node fivebeans.js HOST PORT
const assert = require('node:assert/strict')
const { client: Client } = require('fivebeans')

const queue = new Client(process.argv[2], Number(process.argv[3]))

// The words of a successful reply; a refusal is an error with the word of the reply.
const ask = (command, ...words) => new Promise((resolve, reject) =>
    queue[command](...words, (error, ...values) => (error ? reject(new Error(error)) : resolve(values))))
const failure = promise => promise.then(() => assert.fail('no error'), error => error.message)

async function main() {
    await new Promise((resolve, reject) => queue.on('connect', resolve).on('error', reject).connect())
    await ask('use', 'five-tube')
    assert.equal(Number((await ask('watch', 'five-tube'))[0]), 2)
    assert.equal(Number((await ask('ignore', 'default'))[0]), 1)
    assert.deepEqual(await ask('list_tube_used'), ['five-tube'])
    assert.deepEqual(await ask('list_tubes_watched'), [['five-tube']])
    assert.ok((await ask('list_tubes'))[0].includes('five-tube'))

    const body = Buffer.from('fivebeans \0\r\n end')
    const [id] = await ask('put', 7, 0, 90, body)
    assert.deepEqual(await ask('reserve'), [id, body])
    let [stats] = await ask('stats_job', id)
    assert.deepEqual([stats.state, stats.pri, stats.ttr, stats.tube], ['reserved', 7, 90, 'five-tube'])
    await ask('touch', id)
    await ask('release', id, 5, 0)
    assert.deepEqual(await ask('peek_ready'), [id, body])
    assert.deepEqual(await ask('reserve_with_timeout', 5), [id, body])
    await ask('bury', id, 9)
    assert.deepEqual(await ask('peek_buried'), [id, body])
    assert.equal(Number((await ask('kick', 10))[0]), 1)
    await ask('reserve')
    await ask('bury', id, 9)
    await ask('kick_job', id)
    await ask('reserve')
    stats = (await ask('stats_job', id))[0]
    assert.deepEqual([stats.reserves, stats.releases, stats.buries, stats.kicks], [4, 1, 2, 2])
    assert.deepEqual(await ask('peek', id), [id, body])
    await ask('destroy', id)
    assert.equal(await failure(ask('destroy', id)), 'NOT_FOUND')
    assert.equal(await failure(ask('reserve_with_timeout', 0)), 'TIMED_OUT')

    const [delayed] = await ask('put', 0, 600, 60, 'later')
    assert.equal((await ask('peek_delayed'))[0], delayed)
    assert.equal(Number((await ask('kick', 1))[0]), 1)
    await ask('pause_tube', 'five-tube', 600)
    const [tube] = await ask('stats_tube', 'five-tube')
    assert.deepEqual([tube.pause, tube['cmd-pause-tube'], tube['current-jobs-ready']], [600, 1, 1])
    assert.equal(await failure(ask('reserve_with_timeout', 0)), 'TIMED_OUT')
    await ask('pause_tube', 'five-tube', 0)
    await ask('destroy', (await ask('reserve'))[0])
    const [all] = await ask('stats')
    assert.equal(all['current-jobs-reserved'], 0)
    queue.end()
    console.log('fivebeans: every command as it should be')
}

main().catch(error => {
    console.error(error)
    process.exit(1)
})
