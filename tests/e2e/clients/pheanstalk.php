<?php
// Every kind of command with php-pda-pheanstalk, unmodified.
// usage: php pheanstalk.php HOST PORT
require_once 'Pheanstalk/autoload.php';

use Pheanstalk\Pheanstalk;

function same($got, $wanted, string $what): void
{
    if ($got !== $wanted) {
        fwrite(STDERR, "$what: got " . var_export($got, true) . ', wanted ' . var_export($wanted, true) . "\n");
        exit(1);
    }
}

$queue = Pheanstalk::create($argv[1], (int) $argv[2]);
$queue->useTube('php-tube')->watchOnly('php-tube');
same($queue->listTubeUsed(true), 'php-tube', 'list-tube-used');
same($queue->listTubesWatched(true), ['php-tube'], 'list-tubes-watched');
same(in_array('php-tube', $queue->listTubes(), true), true, 'list-tubes');

$body = "php \0\r\n end";
$put = $queue->put($body, 7, 0, 90);
$job = $queue->reserve();
same([$job->getId(), $job->getData()], [$put->getId(), $body], 'reserve after put');
$stats = $queue->statsJob($job);
same([$stats['state'], (int) $stats['pri'], (int) $stats['ttr']], ['reserved', 7, 90], 'stats-job');
$queue->touch($job);
$queue->release($job, 5, 0);
same($queue->peekReady()->getId(), $put->getId(), 'peek-ready after release');
$job = $queue->reserveWithTimeout(5);
$queue->bury($job, 9);
same($queue->peekBuried()->getId(), $put->getId(), 'peek-buried after bury');
same($queue->kick(10), 1, 'kick');
$job = $queue->reserveWithTimeout(5);
$queue->bury($job);
$queue->kickJob($job);
$job = $queue->reserveWithTimeout(5);
$stats = $queue->statsJob($job);
same([(int) $stats['reserves'], (int) $stats['releases'], (int) $stats['buries'], (int) $stats['kicks']],
    [4, 1, 2, 2], 'counters of the job');
same($queue->peek($job)->getData(), $body, 'peek');
$queue->delete($job);
same($queue->peekReady(), null, 'peek-ready after delete');
same($queue->reserveWithTimeout(0), null, 'reserve of an empty tube');

$delayed = $queue->put('later', 0, 600);
same($queue->peekDelayed()->getId(), $delayed->getId(), 'peek-delayed');
same($queue->kick(1), 1, 'kick of a delayed job');
$queue->pauseTube('php-tube', 600);
$stats = $queue->statsTube('php-tube');
same([(int) $stats['pause'], (int) $stats['cmd-pause-tube'], (int) $stats['current-jobs-ready']], [600, 1, 1],
    'stats-tube');
same($queue->reserveWithTimeout(0), null, 'reserve of a paused tube');
$queue->resumeTube('php-tube');
$queue->delete($queue->reserveWithTimeout(5));
same($queue->watch('default')->ignore('php-tube')->listTubesWatched(true), ['default'], 'ignore');
same((int) $queue->stats()['current-jobs-reserved'], 0, 'stats');
echo "pheanstalk: every command as it should be\n";
