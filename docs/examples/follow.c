/*
 * A subscriber to zonehookd's event stream, complete, with nothing but libzmq. docs/events.md is the contract.
 *
 *     cc -o follow follow.c -lzmq
 *     ./follow ENDPOINT [--key FILE] [TOPIC ...]
 *
 * ENDPOINT is ipc:///var/run/zonehookd/events.sock, or tcp://ADDRESS:PORT with the FILE that `zonehookctl keys new`
 * made. Prints a line for each announcement, and says in its place what is missing. A daemon that goes is waited for.
 *
 * There is no JSON library here: the contract says that the keys of an announcement stand in a fixed order, `data`
 * last, without blanks.
 */

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <zmq.h>

#define	TOPICS_MAX	64
#define	WORD_MAX	64

/* What has been heard, by the numbers. */
static struct {
	char topic[WORD_MAX];
	unsigned long long last;
} heard[TOPICS_MAX];
static int heard_count;
static char epoch[WORD_MAX];
static bool again;	/* the daemon has started anew since we listen: then we are owed everything from 1 on */
static char **wanted;	/* topics; none: all */
static int wanted_count;

static void
fail(const char *what)
{
	fprintf(stderr, "follow: %s: %s\n", what, zmq_strerror(zmq_errno()));
	exit(1);
}

/* The text of `"key":"…"` in an announcement, or "". */
static void
text_of(const char *body, const char *key, char *text)
{
	char pattern[WORD_MAX];

	text[0] = '\0';
	(void) snprintf(pattern, sizeof (pattern), "\"%s\":\"", key);
	if ((body = strstr(body, pattern)) != NULL)
		(void) snprintf(text, WORD_MAX, "%.*s", (int)strcspn(body + strlen(pattern), "\""), body + strlen(pattern));
}

static bool
is_wanted(const char *topic)
{
	for (int i = 0; i < wanted_count; i++) {
		if (strcmp(wanted[i], topic) == 0)
			return (true);
	}
	return (wanted_count == 0);
}

/* `seq` is the latest number of `topic`, and everything up to `owed` must have been heard by now. */
static void
gap(const char *topic, unsigned long long seq, unsigned long long owed)
{
	int i;

	for (i = 0; i < heard_count && strcmp(heard[i].topic, topic) != 0; i++)
		;
	if (i == TOPICS_MAX)
		return;
	if (i == heard_count) {
		(void) snprintf(heard[i].topic, WORD_MAX, "%s", topic);
		heard[i].last = again ? 0 : owed;
		heard_count++;
	}
	if (owed > heard[i].last)
		printf("lost %llu of %s\n", owed - heard[i].last, topic);
	if (seq > heard[i].last)
		heard[i].last = seq;
}

/* `"seq":{"event":31,"look":4,…}`: how far each topic is. */
static void
pulse(const char *data)
{
	char topic[WORD_MAX];
	unsigned long long seq;
	int length;

	if ((data = strstr(data, "\"seq\":{")) == NULL)
		return;
	data += strlen("\"seq\":{");
	while (sscanf(data, "\"%63[^\"]\":%llu%n", topic, &seq, &length) == 2) {
		if (is_wanted(topic))
			gap(topic, seq, seq);
		data += length;
		if (*data == ',')
			data++;
	}
}

static void
announcement(const char *body)
{
	static bool listening;
	char said[WORD_MAX], topic[WORD_MAX], when[WORD_MAX];
	const char *number = strstr(body, "\"seq\":");
	const char *data = strstr(body, "\"data\":");
	unsigned long long seq;

	text_of(body, "topic", topic);
	text_of(body, "time", when);
	text_of(body, "epoch", said);
	if (number == NULL || data == NULL || sscanf(number, "\"seq\":%llu", &seq) != 1)
		return;		/* not version 1 */
	if (strcmp(said, epoch) != 0) {
		again = epoch[0] != '\0';
		heard_count = 0;
		(void) strcpy(epoch, said);
		if (again)
			printf("the daemon has started again: ask it how things are\n");
	}
	data += strlen("\"data\":");
	if (strcmp(topic, "pulse") == 0) {
		pulse(data);
		if (!listening)
			printf("listening: now ask the daemon how things are\n");
		listening = true;
	} else {
		gap(topic, seq, seq - 1);
		printf("%s %s %.*s\n", when, topic, (int)strlen(data) - 1, data);	/* without the last brace */
	}
	(void) fflush(stdout);
}

/* Sets a CURVE key of the socket from the line `name = "…"` of the key file. */
static void
use_key(void *socket, const char *file, const char *name, int option)
{
	char line[256], found[WORD_MAX] = "", value[WORD_MAX];
	FILE *keys = fopen(file, "r");

	if (keys == NULL) {
		perror(file);
		exit(1);
	}
	while (strcmp(found, name) != 0 && fgets(line, sizeof (line), keys) != NULL) {
		if (sscanf(line, " %63[a-z-] = \"%63[^\"]\"", found, value) != 2)
			found[0] = '\0';
	}
	(void) fclose(keys);
	if (strcmp(found, name) != 0 || zmq_setsockopt(socket, option, value, strlen(value) + 1) != 0) {
		fprintf(stderr, "follow: %s: no good %s in it\n", file, name);
		exit(1);
	}
}

int
main(int argc, char **argv)
{
	void *socket = zmq_socket(zmq_ctx_new(), ZMQ_SUB);
	int ipv6 = 1;	/* too */
	int every = 10000, dead = 30000;	/* ms: a host that vanished is noticed */
	int patience = 15000;	/* ms: three pulses, unless [events] pulse_s says otherwise */
	int first = 2;
	bool silent = false;

	if (argc < 2) {
		fprintf(stderr, "usage: follow ENDPOINT [--key FILE] [TOPIC ...]\n");
		return (2);
	}
	if (zmq_setsockopt(socket, ZMQ_IPV6, &ipv6, sizeof (ipv6)) != 0 ||
	    zmq_setsockopt(socket, ZMQ_HEARTBEAT_IVL, &every, sizeof (every)) != 0 ||
	    zmq_setsockopt(socket, ZMQ_HEARTBEAT_TIMEOUT, &dead, sizeof (dead)) != 0)
		fail("options");
	if (argc > 3 && strcmp(argv[2], "--key") == 0) {
		use_key(socket, argv[3], "server-key", ZMQ_CURVE_SERVERKEY);
		use_key(socket, argv[3], "public-key", ZMQ_CURVE_PUBLICKEY);
		use_key(socket, argv[3], "secret-key", ZMQ_CURVE_SECRETKEY);
		first = 4;
	}
	wanted = argv + first;
	wanted_count = argc - first;
	for (int i = 0; i < wanted_count; i++)
		(void) zmq_setsockopt(socket, ZMQ_SUBSCRIBE, wanted[i], strlen(wanted[i]));
	/* The pulse last: when the first one comes, the others are in force too. Nothing: everything. */
	(void) zmq_setsockopt(socket, ZMQ_SUBSCRIBE, "pulse", wanted_count > 0 ? strlen("pulse") : 0);
	if (zmq_connect(socket, argv[1]) != 0)
		fail(argv[1]);
	for (;;) {
		zmq_pollitem_t item = { .socket = socket, .events = ZMQ_POLLIN };
		zmq_msg_t frame;
		char *body;

		if (!silent && zmq_poll(&item, 1, patience) == 0) {
			silent = 1;
			printf("silent: no daemon is there, or it does not know our key; we go on waiting\n");
			(void) fflush(stdout);
		}
		(void) zmq_msg_init(&frame);
		if (zmq_msg_recv(&frame, socket, 0) < 0)
			fail("receive");
		silent = 0;
		if (!zmq_msg_more(&frame) && (body = calloc(1, zmq_msg_size(&frame) + 1)) != NULL) {
			(void) memcpy(body, zmq_msg_data(&frame), zmq_msg_size(&frame));
			announcement(body);
			free(body);
		}
		(void) zmq_msg_close(&frame);
	}
}
