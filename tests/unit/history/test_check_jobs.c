/* Proves that the checkers of P1 to P4, P8 and P11 find small histories that violate them, and let
 * pass those that almost do. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "unit/history/examples.h"

#define PUT1 "0 10 1 put ok tube=default id=1 len=1 ttr=10\n"

static void no_loss(void **state)
{
    (void)state;
    static const struct example examples[] = {
        {"nobody deleted it", IS(P1), PUT1, {.is_drained = true}},
        {"a reserve is no delete",
         IS(P1),
         PUT1 "20 30 1 reserve ok id=1 len=1\n",
         {.is_drained = true}},
        {"a delete that failed is none",
         IS(P1),
         PUT1 "20 30 2 delete not-found id=1\n20 30 1 reserve ok id=1 len=1\n",
         {.is_drained = true}},
        {"its put was not answered, and it was seen",
         IS(P1),
         "0 - 1 put unknown tube=default len=1 ttr=1\n20 30 2 reserve ok id=1 len=1\n",
         {.is_drained = true}},
        {"it cannot be found", IS(P1), PUT1 "20 30 2 peek not-found id=1\n", EXACT},
        {"it cannot be found by stats-job", IS(P1), PUT1 "20 30 2 stats-job not-found id=1\n",
         EXACT},
        {"deleted", 0, PUT1 "20 30 1 delete ok id=1\n", {.is_drained = true}},
        {"perhaps deleted", 0, PUT1 "20 - 1 delete unknown id=1\n", {.is_drained = true}},
        {"not drained", 0, PUT1, EXACT},
        {"a put that was not answered",
         0,
         "0 - 1 put unknown tube=default len=1 ttr=1\n",
         {.is_drained = true}},
        {"a peek that began in time", 0, PUT1 "10 30 2 peek not-found id=1\n", EXACT},
        {"a delete was on its way", 0,
         PUT1 "20 30 2 peek not-found id=1\n30 - 3 delete unknown id=1\n", EXACT},
    };
    EXAMPLES_RUN(examples, P1);
}

static void at_most_once(void **state)
{
    (void)state;
    static const struct example examples[] = {
        {"answered 1, read as 2", IS(P2), PUT1 "20 30 2 reserve ok id=2 len=1\n", EXACT},
        {"not answered, read as 1 and 2", IS(P2),
         "0 - 1 put unknown tube=default len=1 ttr=9\n"
         "20 30 2 reserve ok id=1 len=1\n"
         "20 30 3 reserve ok id=2 len=1\n",
         EXACT},
        {"read twice as 1", 0,
         "0 - 1 put unknown tube=default len=1 ttr=9\n"
         "20 30 2 reserve ok id=1 len=1\n"
         "20 30 3 peek ok id=1 len=1\n",
         EXACT},
    };
    EXAMPLES_RUN(examples, P2);
}

static void no_invention(void **state)
{
    (void)state;
    static const struct example examples[] = {
        {"nobody put it", IS(P3), "20 30 2 reserve ok id=1 len=1\n", EXACT},
        {"another body", IS(P3), PUT1 "20 30 2 peek ok id=1 len=1 hash=5\n", EXACT},
        {"refused", IS(P3),
         "0 10 1 put rejected tube=default len=1 ttr=1\n20 30 2 reserve ok id=1 len=1\n", EXACT},
        {"refused for want of room", IS(P3),
         "0 10 1 put no-room tube=default len=1 ttr=1\n20 30 2 reserve ok id=1 len=1\n", EXACT},
        {"failed", IS(P3) | IS(P14),
         "0 10 1 put error tube=default len=1 ttr=1\n20 30 2 reserve ok id=1 len=1\n", EXACT},
        {"a tube that is not watched", IS(P3),
         "0 10 1 put ok tube=a id=1 len=1 ttr=9\n20 30 2 reserve ok id=1 len=1\n", EXACT},
        {"a tube that is not watched any more", IS(P3),
         PUT1 "0 10 2 watch ok tube=a\n10 20 2 ignore ok tube=default\n"
              "20 30 2 reserve ok id=1 len=1\n",
         EXACT},
        {"peeked in another tube", IS(P3), PUT1 "20 30 2 peek-ready ok tube=a id=1 len=1\n", EXACT},
        {"before it was put", IS(P3),
         "20 30 1 put ok tube=default id=1 len=1 ttr=1\n0 10 2 peek ok id=1 len=1\n", EXACT},
        {"by its id, with all puts answered", IS(P3), "20 30 2 delete ok id=1\n", EXACT},
        {"by its id, with a put unanswered", 0,
         "0 - 1 put unknown tube=default len=1 ttr=9\n20 30 2 delete ok id=1\n", EXACT},
        {"a tube that is watched", 0,
         "0 10 1 put ok tube=a id=1 len=1 ttr=9\n0 10 2 watch ok tube=a\n"
         "20 30 2 reserve ok id=1 len=1\n",
         EXACT},
        {"by its id from any tube", 0,
         "0 10 1 put ok tube=a id=1 len=1 ttr=9\n20 30 2 reserve-job ok id=1 len=1\n", EXACT},
        {"not the last one ignored", 0,
         PUT1 "0 10 2 ignore not-ignored tube=default\n20 30 2 reserve ok id=1 len=1\n", EXACT},
        {"while it was put", 0,
         "20 30 1 put ok tube=default id=1 len=1 ttr=1\n0 20 2 reserve ok id=1 len=1\n", EXACT},
    };
    EXAMPLES_RUN(examples, P3);
}

static void no_resurrection(void **state)
{
    (void)state;
    static const struct example examples[] = {
        {"reserved afterwards", IS(P4),
         PUT1 "20 30 1 delete ok id=1\n31 40 2 reserve ok id=1 len=1\n", EXACT},
        {"seen afterwards", IS(P4), PUT1 "20 30 1 delete ok id=1\n31 40 2 stats-job ok id=1\n",
         EXACT},
        {"sent afterwards on the same connection", IS(P4),
         PUT1 "20 30 1 delete ok id=1\n20 30 1 peek ok id=1 len=1\n", EXACT},
        {"deleted twice at once", IS(P4), PUT1 "20 30 1 delete ok id=1\n20 30 2 delete ok id=1\n",
         EXACT},
        {"at the same time", 0, PUT1 "20 30 1 delete ok id=1\n30 40 2 peek ok id=1 len=1\n", EXACT},
        {"not found afterwards", 0, PUT1 "20 30 1 delete ok id=1\n31 40 2 peek not-found id=1\n",
         EXACT},
        {"a delete that was not answered", 0,
         PUT1 "20 - 1 delete unknown id=1\n80 90 2 reserve ok id=1 len=1\n", EXACT},
    };
    EXAMPLES_RUN(examples, P4);
}

static void ids(void **state)
{
    (void)state;
    static const struct example examples[] = {
        {"given twice", IS(P8), PUT1 "0 10 2 put ok tube=a id=1 len=2 ttr=1\n", EXACT},
        {"given twice, of one only seen", IS(P8),
         PUT1 "0 - 2 put unknown tube=default len=2 ttr=1\n20 30 3 peek ok id=1 len=2\n", EXACT},
        {"falling", IS(P8),
         "0 10 1 put ok tube=a id=2 len=1 ttr=1\n11 20 2 put ok tube=a id=1 len=2 ttr=1\n", EXACT},
        {"falling in a pipeline", IS(P8),
         "0 10 1 put ok tube=a id=2 len=1 ttr=1\n0 10 1 put ok tube=a id=1 len=2 ttr=1\n", EXACT},
        {"falling, and the first was seen early", IS(P8),
         "0 - 1 put unknown tube=default id=0 len=1 ttr=1\n1 3 3 peek ok id=2 len=1\n"
         "4 20 2 put ok tube=a id=1 len=2 ttr=1\n",
         EXACT},
        {"falling at the same time", 0,
         "0 10 1 put ok tube=a id=2 len=1 ttr=1\n10 20 2 put ok tube=a id=1 len=2 ttr=1\n", EXACT},
        {"with gaps", 0,
         "0 10 1 put ok tube=a id=2 len=1 ttr=1\n11 20 2 put ok tube=a id=9 len=2 ttr=1\n", EXACT},
    };
    EXAMPLES_RUN(examples, P8);
}

#define PUT2 "0 10 1 put ok tube=a id=2 len=2 ttr=10\n"

static void conservation(void **state)
{
    (void)state;
    static const struct example examples[] = {
        {"too few", IS(P11), PUT1 PUT2 "20 30 1 stats ok jobs=1\n", EXACT},
        {"too many", IS(P11), PUT1 PUT2 "20 30 1 stats ok jobs=3\n", EXACT},
        {"of a tube: too many", IS(P11), PUT1 PUT2 "20 30 1 stats-tube ok tube=a jobs=2\n", EXACT},
        {"the tube is not found", IS(P11), PUT1 PUT2 "20 30 1 stats-tube not-found tube=a\n",
         EXACT},
        {"a deleted one is counted", IS(P11),
         PUT1 PUT2 "20 30 1 delete ok id=2\n31 40 2 stats ok jobs=2\n", EXACT},
        {"all", 0, PUT1 PUT2 "20 30 1 stats ok jobs=2\n", EXACT},
        {"one is put meanwhile", 0,
         PUT1 PUT2 "25 90 3 put ok tube=a id=3 len=3 ttr=1\n20 30 2 stats ok jobs=3\n", EXACT},
        {"one is deleted meanwhile", 0,
         PUT1 PUT2 "25 90 3 delete ok id=2\n20 30 2 stats ok jobs=1\n", EXACT},
        {"perhaps one more", 0,
         PUT1 "0 - 2 put unknown tube=a len=2 ttr=1\n20 30 1 stats ok jobs=2\n", EXACT},
        {"not counted", 0, PUT1 "20 30 1 stats ok\n", EXACT},
    };
    EXAMPLES_RUN(examples, P11);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_loss),      cmocka_unit_test(at_most_once),
        cmocka_unit_test(no_invention), cmocka_unit_test(no_resurrection),
        cmocka_unit_test(ids),          cmocka_unit_test(conservation),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
