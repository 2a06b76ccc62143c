# Every kind of command with ruby-beaneater, unmodified.
# usage: ruby beaneater.rb HOST:PORT
require 'beaneater'

def same(got, wanted, what)
  abort "#{what}: got #{got.inspect}, wanted #{wanted.inspect}" unless got == wanted
end

queue = Beaneater.new(ARGV.fetch(0))
tube = queue.tubes['ruby-tube']
body = "ruby \x00\r\n end".b

id = tube.put(body, pri: 7, delay: 0, ttr: 90)[:id]
job = tube.reserve(5)
same([job.id.to_s, job.body.b], [id.to_s, body], 'reserve after put')
stats = job.stats
same([stats.state, stats.pri, stats.ttr, stats.tube], ['reserved', 7, 90, 'ruby-tube'], 'stats-job')
job.touch
job.release(pri: 5, delay: 0)
same(tube.peek(:ready).id.to_s, id.to_s, 'peek-ready after release')
job = tube.reserve(5)
job.bury(pri: 9)
same(tube.peek(:buried).id.to_s, id.to_s, 'peek-buried after bury')
same(tube.kick(10)[:id].to_i, 1, 'kick') # beaneater calls the number in the reply an id
job = tube.reserve(5)
same([job.stats.reserves, job.stats.releases, job.stats.buries, job.stats.kicks], [3, 1, 1, 1], 'counters of the job')
job.delete
same(queue.jobs.find(id), nil, 'peek after delete')

delayed = tube.put('later', delay: 600)[:id]
same(tube.peek(:delayed).id.to_s, delayed.to_s, 'peek-delayed')
queue.jobs.find(delayed).kick
same(tube.peek(:ready).body, 'later', 'peek-ready after kick-job')

tube.pause(600)
same([tube.stats.pause, tube.stats.cmd_pause_tube, tube.stats.current_jobs_ready], [600, 1, 1], 'stats-tube')
begin
  tube.reserve(0)
  abort 'a paused tube gave a job'
rescue Beaneater::TimedOutError
  tube.pause(0)
end
tube.reserve(5).delete

queue.tubes.watch!('ruby-a', 'ruby-b')
same(queue.tubes.watched.map(&:name).sort, %w[ruby-a ruby-b], 'list-tubes-watched')
queue.tubes.use('ruby-a')
same(queue.tubes.used.name, 'ruby-a', 'list-tube-used')
same(queue.tubes.all.map(&:name).include?('ruby-b'), true, 'list-tubes')
same(queue.stats.current_jobs_reserved, 0, 'stats')
same(queue.stats.version.to_s, '1.13', 'version') unless ENV['REFERENCE']
queue.close
puts "beaneater #{Beaneater::VERSION}: every command as it should be"
