/*
 * libzonecfg.so.1, as far as the private notification interface goes [zones 2.5]. Events come from the lab's server,
 * found beside this library; a thread of our own calls the callback, one event at a time.
 *
 * to the server    u32 length, words: "events", "", "/", "1", our pid       (or "ping" in place of "events")
 * from the server  'Y' or 'N'; then per event u32 length, words: zone, new state, old state, zone id, when, subclass
 * to the server    per event 'c' (consumed) or 'a' (EAGAIN)
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

typedef int zoneid_t;
typedef long long hrtime_t;
typedef int (*callback_t)(const char *, zoneid_t, const char *, const char *, hrtime_t, void *);

struct handle {
	int channel;
	pid_t owner;
	pthread_t thread;
	pthread_mutex_t mutex;
	pthread_cond_t ping_returned;
	callback_t callback;
	void *cookie;
	int locked;   /* in the critical section: events are thrown away */
	int changed;  /* one was */
	int pinging;  /* critical_exit waits for its own ping */
};

__attribute__((visibility("default"))) void *zonecfg_notify_bind(callback_t, void *);
__attribute__((visibility("default"))) void zonecfg_notify_unbind(void *);
__attribute__((visibility("default"))) void zonecfg_notify_critical_enter(void *);
__attribute__((visibility("default"))) int zonecfg_notify_critical_exit(void *);
__attribute__((visibility("default"))) void zonecfg_notify_critical_abort(void *);

/* The real one hangs in such a case, or fails an assertion; a test is better served by a word and an abort. */
static void misuse(const char *what)
{
	dprintf(2, "zonelab: libzonecfg: %s [zones 2.5]\n", what);
	abort();
}

static void lock(struct handle *handle)
{
	if (pthread_mutex_lock(&handle->mutex) == EDEADLK)
		misuse("called from the handle's own callback: the real library deadlocks here");
}

static int receive(int channel, void *into, size_t length)
{
	char *cursor = into;

	while (length > 0) {
		ssize_t got = recv(channel, cursor, length, 0);

		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			return -1;
		cursor += got;
		length -= (size_t)got;
	}
	return 0;
}

/* A connection on which the server has answered 'Y', or -1. */
static int ask(const char *kind)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	char body[128], answer;
	uint32_t length;
	Dl_info self;
	int channel;

	if (dladdr((void *)zonecfg_notify_bind, &self) == 0)
		return -1;
	snprintf(address.sun_path, sizeof(address.sun_path), "%.*s/zonelab/door",
	    (int)(strrchr(self.dli_fname, '/') - self.dli_fname), self.dli_fname);
	channel = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (channel < 0)
		return -1;
	length = sizeof(length);
	length += (uint32_t)snprintf(body + length, sizeof(body) - length, "%s%c%c/%c1%c%d%c", kind, 0, 0, 0, 0, getpid(), 0);
	*(uint32_t *)(void *)body = length - (uint32_t)sizeof(length);
	if (connect(channel, (struct sockaddr *)&address, sizeof(address)) < 0 ||
	    send(channel, body, length, MSG_NOSIGNAL) != (ssize_t)length || receive(channel, &answer, 1) < 0 || answer != 'Y') {
		close(channel);
		return -1;
	}
	return channel;
}

/* 'c' or 'a'. Called with the mutex held: that is what serialises, and what makes calls from the callback deadlock. */
static char take(struct handle *handle, char **words)
{
	int zoneid = atoi(words[3]);

	if (strcmp(words[5], "ping") == 0) {
		if (zoneid == handle->owner) {
			if (handle->locked && !handle->pinging)
				misuse("another handle's ping in this process: the real library fails an assertion here");
			handle->pinging = 0;
			pthread_cond_broadcast(&handle->ping_returned);
		}
		return 'c';
	}
	if (handle->locked) {
		handle->changed = 1;
		return 'c';
	}
	return handle->callback(words[0], zoneid, words[1], words[2], atoll(words[4]), handle->cookie) == EAGAIN ? 'a' : 'c';
}

static void *deliver(void *argument)
{
	struct handle *handle = argument;
	char body[1024], answer, *words[6];
	uint32_t length;

	while (receive(handle->channel, &length, sizeof(length)) == 0 && length < sizeof(body) &&
	       receive(handle->channel, body, length) == 0) {
		char *cursor = body;

		body[length] = 0;
		for (int i = 0; i < 6; i++) {
			words[i] = cursor < body + length ? cursor : body + length;
			cursor += strlen(words[i]) + 1;
		}
		pthread_mutex_lock(&handle->mutex);
		answer = take(handle, words);
		pthread_mutex_unlock(&handle->mutex);
		if (send(handle->channel, &answer, 1, MSG_NOSIGNAL) != 1)
			break;
	}
	return NULL;
}

void *zonecfg_notify_bind(callback_t callback, void *cookie)
{
	struct handle *handle = calloc(1, sizeof(*handle));
	pthread_mutexattr_t checked;
	sigset_t all, before;
	int failed;

	if (handle == NULL)
		return NULL;
	handle->channel = ask("events");
	if (handle->channel < 0) {
		free(handle);
		return NULL;
	}
	handle->owner = getpid();
	handle->callback = callback;
	handle->cookie = cookie;
	pthread_mutexattr_init(&checked);
	pthread_mutexattr_settype(&checked, PTHREAD_MUTEX_ERRORCHECK);
	pthread_mutex_init(&handle->mutex, &checked);
	pthread_cond_init(&handle->ping_returned, NULL);
	sigfillset(&all);
	pthread_sigmask(SIG_BLOCK, &all, &before);
	failed = pthread_create(&handle->thread, NULL, deliver, handle);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (failed) {
		close(handle->channel);
		free(handle);
		return NULL;
	}
	return handle;
}

void zonecfg_notify_unbind(void *argument)
{
	struct handle *handle = argument;

	if (handle->owner != getpid())
		return; /* a forked child may not touch it */
	lock(handle); /* a running callback returns first */
	pthread_mutex_unlock(&handle->mutex);
	shutdown(handle->channel, SHUT_RDWR);
	pthread_join(handle->thread, NULL);
	close(handle->channel);
	pthread_mutex_destroy(&handle->mutex);
	pthread_cond_destroy(&handle->ping_returned);
	free(handle);
}

void zonecfg_notify_critical_enter(void *argument)
{
	struct handle *handle = argument;

	lock(handle);
	handle->locked = 1;
	handle->changed = 0;
	pthread_mutex_unlock(&handle->mutex);
}

int zonecfg_notify_critical_exit(void *argument)
{
	struct handle *handle = argument;
	int channel, changed;

	lock(handle);
	handle->pinging = 1;
	pthread_mutex_unlock(&handle->mutex);
	channel = ask("ping"); /* errors are ignored: then the wait below is for ever, as it is there */
	if (channel >= 0)
		close(channel);
	lock(handle);
	while (handle->pinging)
		pthread_cond_wait(&handle->ping_returned, &handle->mutex);
	changed = handle->changed;
	handle->changed = 0;
	if (!changed)
		handle->locked = 0;
	pthread_mutex_unlock(&handle->mutex);
	return changed;
}

void zonecfg_notify_critical_abort(void *argument)
{
	struct handle *handle = argument;

	lock(handle);
	handle->locked = 0;
	handle->changed = 0;
	pthread_mutex_unlock(&handle->mutex);
}
