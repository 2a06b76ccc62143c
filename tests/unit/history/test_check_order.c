/* Proves that the checkers of P9 and P10 find small histories that violate them, and let pass those
 * that almost do. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "unit/history/examples.h"

#define PUT(id, pri) "0 10 1 put ok tube=default ttr=9 id=" #id " len=" #id " pri=" #pri "\n"

static void order(void **state)
{
    (void)state;
    static const struct example examples[] = {
        {"a larger priority", IS(P9), PUT(1, 5) PUT(2, 6) "20 30 2 reserve ok id=2 len=2\n", EXACT},
        {"a larger id", IS(P9), PUT(1, 5) PUT(2, 5) "20 30 2 reserve ok id=2 len=2\n", EXACT},
        {"none", IS(P9), PUT(1, 5) "20 30 2 reserve timed-out\n", EXACT},
        {"none but a warning", IS(P9), PUT(1, 5) "20 30 2 reserve deadline-soon\n", EXACT},
        {"none at the end of a long wait", IS(P9),
         "0 3000 2 reserve timed-out timeout=3\n"
         "100 110 1 put ok tube=default ttr=9 id=1 len=1\n",
         EXACT},
        {"peeked in the wrong order", IS(P9),
         PUT(1, 5) PUT(2, 6) "20 30 2 peek-ready ok tube=default id=2 len=2\n", EXACT},
        {"none to peek", IS(P9), PUT(1, 5) "20 30 2 peek-ready not-found tube=default\n", EXACT},
        {"of another tube", IS(P9),
         PUT(1, 5) "0 10 3 put ok tube=a ttr=9 id=2 len=2 pri=4\n"
                   "0 10 2 watch ok tube=a\n20 30 2 reserve ok id=1 len=1\n",
         EXACT},
        {"released with a smaller priority", IS(P9),
         PUT(1, 1) PUT(2, 2) "20 30 2 reserve ok id=1 len=1\n20 30 2 reserve ok id=2 len=2\n"
                             "40 50 2 release ok id=1 pri=3\n40 50 2 release ok id=2 pri=2\n"
                             "60 70 2 reserve ok id=1 len=1\n",
         EXACT},
        {"more than a reserve without an answer can hold", IS(P9),
         "15 - 3 reserve unknown timeout=-1\n" PUT(1, 5) PUT(2, 6)
             PUT(3, 7) "20 30 2 reserve ok id=3 len=3\n",
         EXACT},
        {"the forgotten hold nothing",
         IS(P9),
         "15 - 3 reserve unknown timeout=-1\n16 16 3 close unknown\n" PUT(1, 5)
             PUT(2, 6) "200 210 2 reserve ok id=2 len=2\n",
         {.forgotten_ns = 100 * MS}},
        {"in order", 0, PUT(1, 5) PUT(2, 6) "20 30 2 reserve ok id=1 len=1\n", EXACT},
        {"one may be held through a reserve without an answer", 0,
         "15 - 3 reserve unknown timeout=-1\n" PUT(1, 5)
             PUT(2, 6) "20 30 2 reserve ok id=2 len=2\n",
         EXACT},
        {"not ready in time", 0, PUT(1, 5) PUT(2, 6) "10 30 2 reserve ok id=2 len=2\n", EXACT},
        {"taken meanwhile", 0,
         PUT(1, 5) PUT(2, 6) "20 30 2 reserve ok id=2 len=2\n30 40 3 reserve ok id=1 len=1\n",
         EXACT},
        {"perhaps deleted meanwhile", 0,
         PUT(1, 5) PUT(2, 6) "20 30 2 reserve ok id=2 len=2\n25 - 3 delete unknown id=1\n", EXACT},
        {"perhaps paused", 0,
         PUT(1, 5) "12 - 4 pause-tube unknown tube=default delay=1\n20 30 2 reserve timed-out\n",
         EXACT},
        {"paused, and not any more", IS(P9),
         PUT(1, 5) "12 14 4 pause-tube ok tube=default delay=9\n"
                   "15 16 4 pause-tube ok tube=default delay=0\n20 30 2 reserve timed-out\n",
         EXACT},
        {"peeked though paused", 0,
         PUT(1, 5) "12 14 4 pause-tube ok tube=default delay=9\n"
                   "20 30 2 peek-ready ok tube=default id=1 len=1\n",
         EXACT},
        {"not watched", 0,
         PUT(1,
             5) "0 5 2 watch ok tube=a\n5 9 2 ignore ok tube=default\n20 30 2 reserve timed-out\n",
         EXACT},
        {"half-closed before its time was over", 0,
         "0 200 2 reserve timed-out timeout=3\n150 150 2 close unknown\n"
         "100 110 1 put ok tube=default ttr=9 id=1 len=1\n",
         EXACT},
        {"buried with a priority, kicked, and last", 0,
         PUT(1, 1) PUT(2, 2) "20 30 2 reserve ok id=1 len=1\n40 50 2 bury ok id=1 pri=3\n"
                             "60 70 2 kick-job ok id=1\n80 90 2 reserve ok id=2 len=2\n",
         EXACT},
    };
    EXAMPLES_RUN(examples, P9);
}

#define BURIED1 PUT(1, 1) "20 30 2 reserve ok id=1 len=1\n40 50 2 bury ok id=1\n"
#define BURIED2 PUT(2, 1) "20 30 3 reserve ok id=2 len=2\n40 50 3 bury ok id=2\n"
#define DELAYED3 "0 10 4 put ok tube=default ttr=9 id=3 len=3 delay=9\n"
#define KICK(bound, count) "60 70 5 kick ok tube=default bound=" #bound " count=" #count "\n"

static void kick(void **state)
{
    (void)state;
    static const struct example examples[] = {
        {"more than it was told", IS(P10), BURIED1 BURIED2 KICK(1, 2), EXACT},
        {"less than there are", IS(P10), BURIED1 BURIED2 KICK(9, 1), EXACT},
        {"none", IS(P10), BURIED1 KICK(9, 0), EXACT},
        {"more than there are", IS(P10), BURIED1 KICK(9, 2), EXACT},
        {"buried and delayed ones", IS(P10), BURIED1 DELAYED3 KICK(9, 2), EXACT},
        {"not the delayed one", IS(P10), DELAYED3 KICK(9, 0), EXACT},
        {"the next finds none left", IS(P10),
         BURIED1 KICK(9, 1) "80 90 2 reserve ok id=1 len=1\n100 110 2 bury ok id=1\n"
                            "120 130 5 kick ok tube=default bound=9 count=0\n",
         EXACT},
        {"a ready job", IS(P10), PUT(1, 1) "20 30 2 kick-job ok id=1\n", EXACT},
        {"a buried job is reserved", IS(P10), BURIED1 "60 70 3 reserve ok id=1 len=1\n", EXACT},
        {"a buried job is not found", IS(P10), BURIED1 "60 70 3 kick-job not-found id=1\n", EXACT},
        {"a delayed job is not found", IS(P10), DELAYED3 "60 70 3 kick-job not-found id=3\n",
         EXACT},
        {"a buried job is seen as ready", IS(P10),
         BURIED1 "60 70 3 peek-ready ok tube=default id=1 len=1\n", EXACT},
        {"all", 0, BURIED1 BURIED2 KICK(9, 2), EXACT},
        {"as many as it was told", 0, BURIED1 BURIED2 KICK(1, 1), EXACT},
        {"the delayed one", 0, DELAYED3 KICK(9, 1), EXACT},
        {"the buried one alone", 0, BURIED1 DELAYED3 KICK(9, 1), EXACT},
        {"one was perhaps kicked before", 0,
         BURIED1 BURIED2 "51 - 6 kick unknown tube=default bound=1\n" KICK(9, 1), EXACT},
        {"one was taken by its id", 0,
         BURIED1 BURIED2 "55 - 6 reserve-job unknown id=1\n" KICK(9, 1), EXACT},
        {"in another tube", 0, BURIED1 "60 70 5 kick ok tube=a bound=9\n", EXACT},
    };
    EXAMPLES_RUN(examples, P10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(order),
        cmocka_unit_test(kick),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
