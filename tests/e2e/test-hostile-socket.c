/* SPDX-License-Identifier: MIT */
/* hostile-socket - messages that are wrong, in each state of a session */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "common/base.h"
#include "tests/e2e/hostile.h"
#include "tests/e2e/probe.h"
#include "tests/e2e/shape.h"

/* F-15: whatever was refused, nothing stays locked */
static void after_each_refused_message_the_next_session_works(void **state)
{
	struct hostile *hostile = *state;
	struct fe_message message;
	struct client client;

	for (size_t i = 0; i < ARRAY_SIZE(shapes); i++) {
		shape_connect(&shapes[i], &client, &hostile->server);
		shape_make(&shapes[i], &client, &message);
		message.size++;
		assert_int_not_equal(fe_session_exchange(&client.session,
							 &message, NULL, 0),
				     0);
		client_close(&client);
		assert_true(hostile_check(hostile));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		HOSTILE(after_each_refused_message_the_next_session_works),
	};

	return hostile_run("hostile-socket", tests, ARRAY_SIZE(tests));
}
