# ruby-beaneater as a client of the chaos rig: see README.md.
require 'beaneater'
require 'securerandom'

TUBES = %w[red green].freeze
host, port, CONN, seed = ARGV
RANDOM = Random.new(seed.to_i)
$stdout.sync = true

def now
  Process.clock_gettime(Process::CLOCK_MONOTONIC, :nanosecond)
end

def write(invoke, complete, op, result, more = {})
  puts [invoke, complete || '-', CONN, op, result, *more.map { |name, value| "#{name}=#{value}" }].join(' ')
end

queue = Beaneater.new("#{host}:#{port}")
# It would connect again, and ask again.
queue.connection.define_singleton_method(:establish_connection) { raise 'the connection has ended' }
write(now, now, 'connect', 'unknown')

# What the command gave, or nil. `answer` makes more of that for the record.
define_singleton_method(:ask) do |op, asked = {}, answer: ->(_) { {} }, &command|
  invoke = now
  result, value =
    begin
      ['ok', command.call]
    rescue Beaneater::NotFoundError
      ['not-found', nil]
    rescue Beaneater::TimedOutError
      ['timed-out', nil]
    rescue Beaneater::DeadlineSoonError
      ['deadline-soon', nil]
    rescue Beaneater::UnexpectedResponse => e
      warn "#{op}: #{e.class}: #{e.message}"
      ['error', nil]
    rescue StandardError => e
      warn "#{op}: #{e.class}: #{e.message}"
      ['unknown', nil]
    end
  if result == 'unknown'
    write(invoke, nil, op, 'unknown', asked)
    write(now, nil, 'close', 'unknown', by: 'server')
    exit 1
  end
  write(invoke, now, op, result, result == 'ok' ? asked.merge(answer.call(value)) : asked)
  value
end

def put(queue, tube)
  token = SecureRandom.hex(16)
  body = "#{token}L#{'ruby ' * RANDOM.rand(40)}".b
  job = { pri: RANDOM.rand(2000), delay: RANDOM.rand(40).zero? ? 1 : 0, ttr: 120 }
  ask('put', { tube: tube, token: token, len: body.bytesize, **job }, answer: ->(a) { { id: a[:id] } }) do
    queue.tubes[tube].put(body, **job)
  end
end

def reserve(queue, timeout)
  read = ->(job) { { id: job.id, token: job.body[0, 32], len: job.body.bytesize } }
  ask('reserve', { timeout: timeout || -1 }, answer: read) { queue.tubes.reserve(timeout) }
end

def finish(queue, job, turn)
  id = { id: job.id }
  pri = RANDOM.rand(1..2000)
  case turn % 10
  when 0
    ask('release', id.merge(pri: pri)) { job.release(pri: pri, delay: 0) }
  when 1
    ask('bury', id.merge(pri: pri)) { job.bury(pri: pri) }
  else
    ask('touch', id) { job.touch } if (turn % 3).zero?
    ask('delete', id) { job.delete }
  end
end

ask('watch', { tube: TUBES[0] }) { queue.connection.transmit("watch #{TUBES[0]}") }
ask('watch', { tube: TUBES[1] }) { queue.connection.transmit("watch #{TUBES[1]}") }
ask('ignore', { tube: 'default' }) { queue.connection.transmit('ignore default') }
turn = 0
until IO.select([$stdin], nil, nil, 0)
  tube = TUBES[RANDOM.rand(2)]
  put(queue, tube)
  job = reserve(queue, (turn % 7).zero? ? nil : 1)
  finish(queue, job, turn) if job
  if (turn % 20).zero?
    ask('kick', { tube: tube, bound: 5 }, answer: ->(a) { { count: a[:id] } }) { queue.tubes[tube].kick(5) }
  end
  turn += 1
end
write(now, nil, 'close', 'unknown')
queue.close
