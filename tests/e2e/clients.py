#!/usr/bin/env python3
"""Unmodified client libraries against a three-node cluster: every kind of command, as they check it themselves."""

import pathlib
import subprocess
import threading

from lib import testing
from lib.beanstalk import Client
from lib.cluster import Cluster
from lib.testing import check, say, until

HERE = pathlib.Path(__file__).resolve().parent / "clients"
JOBS = 2000


def run(*command, cwd=HERE):
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=60, check=False)
    check(done.returncode == 0, f"{' '.join(map(str, command))}: exit {done.returncode}\n{done.stdout}{done.stderr}")
    say(done.stdout.strip())


def libraries(options):
    with Cluster(options, "clients") as c:
        host, port = c.listen.split(":")
        run("ruby", "beaneater.rb", c.listen)
        run("php", "pheanstalk.php", host, port)
        run("node", "jackd.js", host, port, cwd=HERE / "node")
        run("node", "--no-deprecation", "fivebeans.js", host, port, cwd=HERE / "node")
        with Client(c.listen) as client:
            until("the end of the clients' tubes", 10, lambda: client.list_tubes() == ["default"])


def many_clients_at_once(options):
    """100 consumers wait before the first job comes: each job goes to one of them, once."""
    with Cluster(options, "many") as c:
        consumers = [Client(c.listen) for _ in range(100)]
        got, lock = [], threading.Lock()

        def consume(client):
            while True:
                job, body = client.reserve()
                client.delete(job)
                if body == b"end":
                    return
                with lock:
                    got.append(body)

        threads = [threading.Thread(target=consume, args=(client,), daemon=True) for client in consumers]
        for thread in threads:
            thread.start()
        with Client(c.listen) as producer:
            until("100 waiting clients", 20, lambda: producer.stats()["current-waiting"] == 100)
            for i in range(JOBS):
                producer.put(b"%d" % i, pri=1)
            for _ in consumers:
                producer.put(b"end", pri=2)
        for thread in threads:
            thread.join(30)
        check(sorted(got, key=int) == [b"%d" % i for i in range(JOBS)], f"{len(got)} of {JOBS} jobs came, or not once")


if __name__ == "__main__":
    testing.main([libraries, many_clients_at_once], testing.parse(testing.parser(__doc__)))
