# One job through a running cluster with an unmodified client library.
# usage: ruby check_job.rb CLUSTER.JSON
require 'json'
require 'beaneater'

address = JSON.parse(File.read(ARGV.fetch(0))).fetch('listen')
body = "coolbeans check #{Process.pid} \x00\r\n end".b

queue = Beaneater.new(address)
tube = queue.tubes['coolbeans-check']
id = tube.put(body)[:id]
job = tube.reserve(10)
abort "put job #{id}, reserved job #{job.id}" unless job.id.to_s == id.to_s
abort "put #{body.inspect}, reserved #{job.body.inspect}" unless job.body.b == body
job.delete
abort "job #{id} is still there after its deletion" if queue.jobs.find(id)
queue.close
puts "job #{id}: put, reserved with the same #{body.bytesize} bytes, deleted"
