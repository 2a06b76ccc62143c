<?php
// php-pda-pheanstalk as a client of the chaos rig: see README.md.
require_once 'Pheanstalk/autoload.php';

use Pheanstalk\Contract\SocketFactoryInterface;
use Pheanstalk\Contract\SocketInterface;
use Pheanstalk\Exception\DeadlineSoonException;
use Pheanstalk\Exception\ServerException;
use Pheanstalk\Pheanstalk;
use Pheanstalk\SocketFactory;

const TUBES = ['red', 'green'];
[, $host, $port, $conn, $seed] = $argv;
mt_srand((int) $seed);

function say($invoke, $complete, string $op, string $result, array $more = []): void
{
    global $conn;
    $line = [$invoke, $complete ?? '-', $conn, $op, $result];
    foreach ($more as $name => $value) {
        $line[] = "$name=$value";
    }
    echo implode(' ', $line), "\n";
}

// It connects again by itself, and asks again: here the second connection is the end, by an error that it does not try
// to mend. Of its kinds of sockets the stream is the one that sees an end: that of the extension reads on for ever.
class Once implements SocketFactoryInterface
{
    private $factory, $made = false;

    public function __construct(string $host, int $port)
    {
        $this->factory = new SocketFactory($host, $port, 10, SocketFactory::STREAM);
    }

    public function create(): SocketInterface
    {
        if ($this->made) {
            throw new \LogicException('the connection has ended');
        }
        $this->made = true;
        return $this->factory->create();
    }
}

// What the command gave, or null. `answer` makes more of that for the record.
function ask(string $op, array $asked, callable $command, ?callable $answer = null)
{
    $invoke = hrtime(true);
    $value = null;
    try {
        $value = $command();
        // A reserve that gives nothing has timed out.
        $result = $op === 'reserve' && $value === null ? 'timed-out' : 'ok';
    } catch (DeadlineSoonException $e) {
        $result = 'deadline-soon';
    } catch (ServerException $e) {
        $result = strpos($e->getMessage(), 'NOT_FOUND') === false ? 'error' : 'not-found';
        if ($result === 'error') {
            fwrite(STDERR, "$op: {$e->getMessage()}\n");
        }
    } catch (\Throwable $e) {
        say($invoke, null, $op, 'unknown', $asked);
        say(hrtime(true), null, 'close', 'unknown', ['by' => 'server']);
        fwrite(STDERR, "$op: " . get_class($e) . ": {$e->getMessage()}\n");
        exit(1);
    }
    $more = $result === 'ok' && $answer ? $answer($value) : [];
    say($invoke, hrtime(true), $op, $result, $more + $asked);
    return $result === 'ok' ? $value : null;
}

function put(Pheanstalk $queue, string $tube): void
{
    $token = bin2hex(random_bytes(16));
    $body = $token . 'L' . str_repeat("php \0\r\n", mt_rand(0, 40));
    [$pri, $delay] = [mt_rand(0, 1999), mt_rand(0, 39) === 0 ? 1 : 0];
    $asked = ['tube' => $tube, 'token' => $token, 'hash' => hash('xxh3', $body), 'len' => strlen($body),
        'pri' => $pri, 'delay' => $delay, 'ttr' => 120];
    ask('put', $asked, function () use ($queue, $tube, $body, $pri, $delay) {
        $queue->useTube($tube);
        return $queue->put($body, $pri, $delay, 120);
    }, function ($job) {
        return ['id' => $job->getId()];
    });
}

function reserve(Pheanstalk $queue, ?int $timeout)
{
    return ask('reserve', ['timeout' => $timeout ?? -1], function () use ($queue, $timeout) {
        return $timeout === null ? $queue->reserve() : $queue->reserveWithTimeout($timeout);
    }, function ($job) {
        $body = $job->getData();
        return ['id' => $job->getId(), 'token' => substr($body, 0, 32), 'hash' => hash('xxh3', $body),
            'len' => strlen($body)];
    });
}

function finish(Pheanstalk $queue, $job, int $turn): void
{
    $id = ['id' => $job->getId()];
    $pri = mt_rand(1, 2000);
    if ($turn % 10 === 0) {
        ask('release', $id + ['pri' => $pri], fn() => $queue->release($job, $pri, 0));
    } elseif ($turn % 10 === 1) {
        ask('bury', $id + ['pri' => $pri], fn() => $queue->bury($job, $pri));
    } else {
        if ($turn % 3 === 0) {
            ask('touch', $id, fn() => $queue->touch($job));
        }
        ask('delete', $id, fn() => $queue->delete($job));
    }
}

function isStopped(): bool
{
    [$read, $write, $except] = [[STDIN], null, null];
    return stream_select($read, $write, $except, 0) > 0;
}

$queue = Pheanstalk::createWithFactory(new Once($host, (int) $port));
$begin = hrtime(true);
say($begin, $begin, 'connect', 'unknown');
foreach (TUBES as $tube) {
    ask('watch', ['tube' => $tube], fn() => $queue->watch($tube));
}
ask('ignore', ['tube' => 'default'], fn() => $queue->ignore('default'));
for ($turn = 0; !isStopped(); $turn++) {
    $tube = TUBES[mt_rand(0, 1)];
    put($queue, $tube);
    $job = reserve($queue, $turn % 7 === 0 ? null : 1);
    if ($job !== null) {
        finish($queue, $job, $turn);
    }
    if ($turn % 20 === 0) {
        ask('kick', ['tube' => $tube, 'bound' => 5], function () use ($queue, $tube) {
            $queue->useTube($tube);
            return $queue->kick(5);
        }, fn($count) => ['count' => $count]);
    }
}
say(hrtime(true), null, 'close', 'unknown');
