/* Proves that the checkers of P5, P6, P7, P12 and P14 find small histories that violate them, and
 * let pass those that almost do. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "unit/history/examples.h"

/* A job of one second, held by connection 2 from between 20 and 30 on. */
#define PUT "0 10 1 put ok tube=default id=1 len=1 ttr=1\n"
#define HELD PUT "20 30 2 reserve ok id=1 len=1\n"

static void exclusive(void **state)
{
    (void)state;
    static const struct example examples[] = {
        {"two hold it, and both go on", IS(P5),
         HELD "40 50 3 reserve ok id=1 len=1\n60 70 2 touch ok id=1\n60 70 3 touch ok id=1\n",
         EXACT},
        {"given away after the ttr, and then released", IS(P5),
         HELD "1500 1510 3 reserve ok id=1 len=1\n1600 1610 2 release ok id=1\n", EXACT},
        {"both at once", IS(P5),
         PUT "20 30 2 reserve ok id=1 len=1\n20 30 3 reserve ok id=1 len=1\n"
             "1500 1510 2 touch ok id=1\n1500 1510 3 touch ok id=1\n",
         EXACT},
        {"seen as ready by its id while it was held, and held on", IS(P6),
         HELD "40 50 3 stats-job ok id=1 state=ready\n60 70 2 touch ok id=1\n", EXACT},
        {"released between", 0, HELD "40 50 2 release ok id=1\n40 50 3 reserve ok id=1 len=1\n",
         EXACT},
        {"released before the answer of the reserve was read", 0,
         PUT "20 60 2 reserve-job ok id=1 len=1\n21 61 2 release ok id=1\n"
             "20 30 3 reserve ok id=1 len=1\n",
         EXACT},
        {"perhaps released", 0,
         HELD "40 - 2 release unknown id=1\n45 45 2 close unknown\n50 60 3 reserve ok id=1 len=1\n",
         EXACT},
    };
    EXAMPLES_RUN(examples, P5);
}

static void ttr_not_cut(void **state)
{
    (void)state;
    static const struct example examples[] = {
        {"before the ttr", IS(P6), HELD "1000 1019 3 reserve ok id=1 len=1\n", EXACT},
        {"by its id", IS(P6), HELD "1000 1019 3 reserve-job ok id=1 len=1\n", EXACT},
        {"to the holder", IS(P6), HELD "1000 1019 2 reserve ok id=1 len=1\n", EXACT},
        {"before the ttr of the touch", IS(P6),
         HELD "900 910 2 touch ok id=1\n1500 1600 3 reserve ok id=1 len=1\n", EXACT},
        {"within the clock's error",
         0,
         HELD "900 925 3 reserve ok id=1 len=1\n",
         {.clock_error_ns = 100 * MS}},
        {"not within the clock's error",
         IS(P6),
         HELD "900 915 3 reserve ok id=1 len=1\n",
         {.clock_error_ns = 100 * MS}},
        {"ttr 0 is 1", IS(P6),
         "0 10 1 put ok tube=default id=1 len=1\n20 30 2 reserve ok id=1 len=1\n"
         "900 910 3 reserve ok id=1 len=1\n",
         EXACT},
        {"long after its reserve was sent, soon after it was put", IS(P6),
         "0 2010 2 reserve ok id=1 len=1 timeout=-1\n"
         "2000 2010 1 put ok tube=default id=1 len=1 ttr=1\n"
         "2500 2900 3 reserve ok id=1 len=1\n",
         EXACT},
        {"seen as ready", IS(P6), HELD "40 50 3 peek-ready ok tube=default id=1 len=1\n", EXACT},
        {"after the ttr", 0, HELD "900 1020 3 reserve ok id=1 len=1\n", EXACT},
        {"the holder has left", 0, HELD "40 40 2 close unknown\n40 50 3 reserve ok id=1 len=1\n",
         EXACT},
        {"the server had closed the holder's connection",
         0,
         HELD "60 60 2 close unknown by=server\n40 50 3 reserve ok id=1 len=1\n",
         {.closes_allowed = 1}},
        {"the server closed it long afterwards",
         IS(P6),
         HELD "900 900 2 close unknown by=server\n40 50 3 reserve ok id=1 len=1\n",
         {.closes_allowed = 1, .close_notice_ns = 20 * MS}},
        {"a touch that was not answered may have failed", 0,
         HELD "900 - 2 touch unknown id=1\n1010 1030 3 reserve ok id=1 len=1\n", EXACT},
        {"waiting for it", 0, HELD "100 1040 3 reserve ok id=1 len=1 timeout=-1\n", EXACT},
        {"deleted by its holder, and one more who looks", 0,
         HELD "40 50 2 delete ok id=1\n45 60 3 peek not-found id=1\n", EXACT},
    };
    EXAMPLES_RUN(examples, P6);
}

static void authority(void **state)
{
    (void)state;
    static const struct example examples[] = {
        {"released by another", IS(P7), HELD "40 50 3 release ok id=1\n", EXACT},
        {"touched by nobody's holder", IS(P7), PUT "40 50 3 touch ok id=1\n", EXACT},
        {"deleted by another", IS(P7), HELD "40 50 3 delete ok id=1\n", EXACT},
        {"kicked from its holder", IS(P7), HELD "40 50 3 kick-job ok id=1\n", EXACT},
        {"buried after it was released", IS(P7),
         HELD "40 50 2 release ok id=1\n60 70 2 bury ok id=1\n", EXACT},
        {"touched after the answer that it is not held", IS(P7),
         HELD "1040 1050 2 touch not-found id=1\n1060 1070 2 touch ok id=1\n", EXACT},
        {"not found by its holder", IS(P7), HELD "40 50 2 touch not-found id=1\n", EXACT},
        {"not deleted by its holder", IS(P7), HELD "40 50 2 delete not-found id=1\n", EXACT},
        {"not found after a touch", IS(P7),
         HELD "900 910 2 touch ok id=1\n1500 1510 2 release not-found id=1\n", EXACT},
        {"a ready job cannot be deleted", IS(P7), PUT "40 50 3 delete not-found id=1\n", EXACT},
        {"a ready job cannot be reserved by its id", IS(P7),
         PUT "40 50 3 reserve-job not-found id=1\n", EXACT},
        {"a buried job cannot be deleted", IS(P7),
         HELD "40 50 2 bury ok id=1\n60 70 3 delete not-found id=1\n", EXACT},
        {"a ready job is deleted by anyone", 0, PUT "40 50 3 delete ok id=1\n", EXACT},
        {"a held one is not", 0, HELD "40 50 3 delete not-found id=1\n", EXACT},
        {"the ttr may have run out", 0, HELD "900 1020 2 touch not-found id=1\n", EXACT},
        {"the ttr has not run out for long", 0, HELD "5000 5020 2 touch ok id=1\n", EXACT},
        {"deleted by who held it", 0, HELD "5000 5020 2 delete ok id=1\n", EXACT},
        {"perhaps held through a reserve without an answer", 0,
         PUT "20 - 2 reserve unknown timeout=-1\n40 50 3 delete not-found id=1\n", EXACT},
        {"in a pipeline", 0,
         PUT
         "20 30 2 reserve-job ok id=1 len=1\n20 30 2 bury ok id=1\n20 30 2 touch not-found id=1\n",
         EXACT},
    };
    EXAMPLES_RUN(examples, P7);
}

#define DELAYED "0 10 1 put ok tube=default id=1 len=1 ttr=9 delay=1\n"
#define RELEASED HELD "40 50 2 release ok id=1 delay=1\n"

static void delay(void **state)
{
    (void)state;
    static const struct example examples[] = {
        {"too early", IS(P12), DELAYED "900 950 2 reserve ok id=1 len=1\n", EXACT},
        {"too early without an answer", IS(P12),
         "0 - 1 put unknown tube=default len=1 ttr=9 delay=1\n900 950 2 reserve ok id=1 len=1\n",
         EXACT},
        {"seen as ready too early", IS(P12),
         DELAYED "900 950 2 peek-ready ok tube=default id=1 len=1\n", EXACT},
        {"too early after a release", IS(P12), RELEASED "900 950 3 reserve ok id=1 len=1\n", EXACT},
        {"too late: none was found",
         IS(P12),
         DELAYED "1100 1200 2 reserve timed-out\n",
         {.late_max_ns = 50 * MS}},
        {"too late: still delayed",
         IS(P12),
         DELAYED "1100 1200 2 stats-job ok id=1 state=delayed\n",
         {.late_max_ns = 50 * MS}},
        {"late, for any time is allowed", 0, DELAYED "1100 1200 2 reserve timed-out\n", EXACT},
        {"just in time", 0, DELAYED "900 1000 2 reserve ok id=1 len=1\n", EXACT},
        {"within the clock's error",
         0,
         DELAYED "900 960 2 reserve ok id=1 len=1\n",
         {.clock_error_ns = 50 * MS}},
        {"kicked", 0,
         DELAYED
         "100 110 3 kick ok tube=default bound=1 count=1\n120 130 2 reserve ok id=1 len=1\n",
         EXACT},
        {"kicked by its id", 0,
         DELAYED "100 110 3 kick-job ok id=1\n120 130 2 reserve ok id=1 len=1\n", EXACT},
        {"taken by its id", 0, DELAYED "100 110 3 reserve-job ok id=1 len=1\n", EXACT},
        {"perhaps kicked", 0,
         DELAYED "100 - 3 kick unknown tube=default bound=1\n120 130 2 reserve ok id=1 len=1\n",
         EXACT},
    };
    EXAMPLES_RUN(examples, P12);
}

static void invisible(void **state)
{
    (void)state;
    static const struct example examples[] = {
        {"an error", IS(P14), "0 10 1 stats error\n", EXACT},
        {"a close", IS(P14), "10 10 1 close unknown by=server\n", EXACT},
        {"a slow answer", IS(P14), "0 200 1 stats ok\n", {.stall_max_ns = 100 * MS}},
        {"no answer",
         IS(P14),
         "0 - 1 stats unknown\n200 201 2 stats ok\n",
         {.stall_max_ns = 100 * MS}},
        {"a slow TIMED_OUT",
         IS(P14),
         "0 1200 1 reserve timed-out timeout=1\n",
         {.stall_max_ns = 100 * MS}},
        {"a slow answer behind another",
         IS(P14),
         "0 90 1 stats ok\n0 200 1 stats ok\n",
         {.stall_max_ns = 100 * MS}},
        {"answers out of order", IS(P14), "0 90 1 stats ok\n0 80 1 stats ok\n", EXACT},
        {"the client's close", 0, "10 10 1 close unknown\n", EXACT},
        {"a close that is allowed", 0, "10 10 1 close unknown by=server\n", {.closes_allowed = 1}},
        {"a reserve may wait",
         0,
         "0 5000 1 reserve timed-out timeout=5\n0 5010 1 stats ok\n",
         {.stall_max_ns = 100 * MS}},
    };
    EXAMPLES_RUN(examples, P14);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(exclusive), cmocka_unit_test(ttr_not_cut), cmocka_unit_test(authority),
        cmocka_unit_test(delay),     cmocka_unit_test(invisible),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
