/*
 * The notification calls of libzonecfg.so.1 with their states, locks and dangers [zones 2.5], over a kernel that a test
 * steers. The callback is called with the handle's mutex held; the critical section belongs to the thread that entered.
 */
#include "kernel.h"

typedef int (*callback_t)(const char *, int, const char *, const char *, long long, void *);
enum state { UNLOCKED, LOCKED, PING_INFLIGHT, PING_RECEIVED };

struct handle {
	pthread_mutex_t mutex, section;
	pthread_cond_t ping_came;
	pthread_t owner; /* of the section */
	callback_t callback;
	void *cookie;
	enum state state;
	int failed;
};

static struct handle *bound;

EXPORT void *zonecfg_notify_bind(callback_t, void *);
EXPORT void zonecfg_notify_unbind(void *);
EXPORT void zonecfg_notify_critical_enter(void *);
EXPORT int zonecfg_notify_critical_exit(void *);
EXPORT void zonecfg_notify_critical_abort(void *);

static int deliver(const struct event *event)
{
	int answer = 0;

	pthread_mutex_lock(&bound->mutex);
	if (event->kind == PING) {
		fake.trespasses += bound->state == LOCKED; /* the real one fails an assertion */
		if (bound->state == PING_INFLIGHT && !fake.lose_pings) {
			bound->state = PING_RECEIVED;
			pthread_cond_signal(&bound->ping_came);
		}
	} else if (bound->state == UNLOCKED) {
		fake.calls++;
		answer = bound->callback(event->kind == NAMELESS ? NULL : event->name, event->zoneid, event->newstate,
		    event->oldstate, 1, bound->cookie);
	} else {
		bound->failed = 1;
		fake.thrown++;
	}
	pthread_mutex_unlock(&bound->mutex);
	return answer;
}

void *zonecfg_notify_bind(callback_t callback, void *cookie)
{
	struct handle *handle;

	if (fake.refuse)
		return NULL;
	if (bound != NULL) { /* two of them can trip each other's assertions */
		fake.trespasses++;
		return NULL;
	}
	handle = calloc(1, sizeof(*handle));
	pthread_mutex_init(&handle->mutex, NULL);
	pthread_mutex_init(&handle->section, NULL);
	pthread_cond_init(&handle->ping_came, NULL);
	handle->callback = callback;
	handle->cookie = cookie;
	bound = handle;
	fake.binds++;
	fake.bound++;
	start(deliver);
	return handle;
}

void zonecfg_notify_unbind(void *argument)
{
	struct handle *handle = argument;

	if (handle->state != UNLOCKED || handle != bound)
		abort();
	stop();
	if (pthread_mutex_trylock(&handle->mutex))
		abort();
	bound = NULL;
	free(handle);
	fake.unbinds++;
	fake.bound--;
}

void zonecfg_notify_critical_enter(void *argument)
{
	struct handle *handle = argument;

	pthread_mutex_lock(&handle->section);
	handle->owner = pthread_self();
	handle->state = LOCKED;
}

int zonecfg_notify_critical_exit(void *argument)
{
	struct handle *handle = argument;
	struct event ping = {.kind = PING};

	fake.trespasses += !pthread_equal(handle->owner, pthread_self());
	pthread_mutex_lock(&handle->mutex);
	handle->state = PING_INFLIGHT;
	enqueue(&ping); /* nobody looks whether it went */
	fake.pings++;
	while (handle->state != PING_RECEIVED)
		pthread_cond_wait(&handle->ping_came, &handle->mutex);
	if (fake.changes > 0) {
		fake.changes--;
		handle->failed = 1;
	}
	if (handle->failed) {
		handle->state = LOCKED;
		handle->failed = 0;
		pthread_mutex_unlock(&handle->mutex);
		return 1;
	}
	handle->state = UNLOCKED;
	pthread_mutex_unlock(&handle->mutex);
	pthread_mutex_unlock(&handle->section);
	return 0;
}

void zonecfg_notify_critical_abort(void *argument)
{
	struct handle *handle = argument;

	fake.trespasses += !pthread_equal(handle->owner, pthread_self());
	handle->state = UNLOCKED;
	handle->failed = 0;
	pthread_mutex_unlock(&handle->section);
}
