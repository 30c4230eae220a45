/*
 * The kernel's side of a zone channel, as far as tests of subscribers need it: a queue that drops what it cannot hold,
 * and a thread that hands out one event at a time and measures how long the subscriber takes [zones 2.6].
 */
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define EXPORT __attribute__((visibility("default")))
#define DEPTH 2000
#define TRIES 4

struct event {
	char class[64], subclass[64];
	char name[128], newstate[64], oldstate[64];
	int zoneid;
	int kind;
	long flood; /* as many events instead of one, of `zones` zones in turn */
	long zones;
};
/* BARE: without attributes; NAMELESS: without zonename; FOREIGN: of another class, as SmartOS has one [zones 2.4] */
enum { CHANGE, PING, BARE, NAMELESS, FOREIGN };

/* What a test sets, and what it finds; the same struct in foreign_library.py. */
struct fake {
	long long refuse;     /* bind fails; of libsysevent: with this errno value */
	long long refuse_sub; /* libsysevent: subscribe fails with this errno value */
	long long lose_pings; /* they never come back */
	long long changes;    /* as many critical_exits say that something changed */
	long long last_words; /* callbacks that are still made while the subscriber leaves */
	long long no_memory;  /* libsysevent: as many attribute lists cannot be had */
	long long stuck;      /* leaving never returns */
	long long keep;       /* libsysevent: unbind fails with this errno value */
	long long full;       /* libsysevent: as many publications find no place */
	long long calls, again, longest_ns, total_ns, slow, thrown, dropped, pings; /* slow: over 10 ms */
	long long binds, unbinds, bound, lists;
	long long strangers;  /* libsysevent: events of another class that were handed over */
	long long trespasses; /* what is forbidden: another thread, a second handle, a handle in use */
};
EXPORT struct fake fake;

static pthread_mutex_t queue_mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t queue_changed = PTHREAD_COND_INITIALIZER;
static struct event queue[DEPTH];
static int queue_first, queue_length, queue_closed;
static pthread_t queue_thread;
static int (*deliver_one)(const struct event *);

static int enqueue(const struct event *event)
{
	int taken;

	pthread_mutex_lock(&queue_mutex);
	taken = queue_length < DEPTH;
	if (taken)
		queue[(queue_first + queue_length++) % DEPTH] = *event;
	else
		fake.dropped++;
	pthread_cond_signal(&queue_changed);
	pthread_mutex_unlock(&queue_mutex);
	return taken;
}

static void hand_out(const struct event *event)
{
	for (int i = 0; i < TRIES; i++) {
		struct timespec before, after;
		long long took;
		int answer;

		clock_gettime(CLOCK_MONOTONIC, &before);
		answer = deliver_one(event);
		clock_gettime(CLOCK_MONOTONIC, &after);
		took = (after.tv_sec - before.tv_sec) * 1000000000LL + after.tv_nsec - before.tv_nsec;
		fake.total_ns += took;
		fake.slow += took > 10000000;
		if (took > fake.longest_ns)
			fake.longest_ns = took;
		if (answer != EAGAIN)
			return;
		fake.again++;
	}
}

static const char *const STATES[] = {"initialized", "ready", "running", "shutting_down", "uninitialized"};

static void flood(const struct event *many)
{
	struct event one = *many;

	for (long i = 0; i < many->flood; i++) {
		snprintf(one.name, sizeof(one.name), "z%ld", i % many->zones);
		strcpy(one.newstate, STATES[(i / many->zones) % 5]);
		one.zoneid = (int)(i % many->zones);
		hand_out(&one);
	}
}

static const struct event LAST = {
    .class = "status", .subclass = "change", .name = "last", .newstate = "running", .oldstate = "ready"};

static void *run(void *nothing)
{
	for (;;) {
		struct event event;

		pthread_mutex_lock(&queue_mutex);
		while (queue_length == 0 && !queue_closed)
			pthread_cond_wait(&queue_changed, &queue_mutex);
		if (queue_closed) {
			pthread_mutex_unlock(&queue_mutex);
			for (; fake.last_words > 0; fake.last_words--)
				hand_out(&LAST); /* the subscriber is leaving, and is called all the same */
			break;
		}
		event = queue[queue_first];
		queue_first = (queue_first + 1) % DEPTH;
		queue_length--;
		pthread_mutex_unlock(&queue_mutex);
		if (event.flood)
			flood(&event);
		else
			hand_out(&event);
	}
	return nothing;
}

static void start(int (*deliver)(const struct event *))
{
	deliver_one = deliver;
	queue_closed = 0;
	pthread_create(&queue_thread, NULL, run, NULL);
}

static void stop(void)
{
	while (fake.stuck)
		usleep(1000);
	pthread_mutex_lock(&queue_mutex);
	queue_closed = 1;
	pthread_cond_signal(&queue_changed);
	pthread_mutex_unlock(&queue_mutex);
	pthread_join(queue_thread, NULL);
}

/* False: it was dropped. */
EXPORT int fake_publish(const char *name, const char *newstate, const char *oldstate, int zoneid, int kind)
{
	struct event event = {.zoneid = zoneid, .kind = kind};

	strcpy(event.class, kind == FOREIGN ? "init" : "status");
	strcpy(event.subclass, kind == FOREIGN ? "restart" : kind == PING ? "ping" : "change");
	snprintf(event.name, sizeof(event.name), "%s", name);
	snprintf(event.newstate, sizeof(event.newstate), "%s", newstate);
	snprintf(event.oldstate, sizeof(event.oldstate), "%s", oldstate);
	return enqueue(&event);
}

EXPORT int fake_flood(long events, long zones)
{
	struct event event = {
	    .class = "status", .subclass = "change", .flood = events, .zones = zones, .oldstate = "ready"};

	return enqueue(&event);
}

/* Nothing is delivered any more, and nobody is told. */
EXPORT void fake_die(void)
{
	pthread_mutex_lock(&queue_mutex);
	queue_closed = 1;
	pthread_cond_signal(&queue_changed);
	pthread_mutex_unlock(&queue_mutex);
}
