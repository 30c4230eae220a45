/* What the parts of answerd share. */
#ifndef ZONELAB_ANSWERD_H
#define ZONELAB_ANSWERD_H

#include <stddef.h>

enum mode { NORMAL, REFUSE, HANG, SICK, ERROR, RESET };

struct peer {
	int fd, http, added, watched; /* watched: the epoll events */
	char *in;                     /* what came and is not answered, NUL-terminated */
	size_t in_length, skip;       /* skip: bytes of a request's body still to come */
	char *out;
	size_t out_length, out_sent;
	long long due_ms; /* nothing is answered before; 0: at once */
	int closing;
	struct peer *next, *previous;
};

extern char name[256];
extern enum mode mode;
extern int delayed; /* peers whose answer is due later */
extern unsigned long long requests, connections;

long long now_ms(void);
void fail(const char *what) __attribute__((noreturn));
void add(struct peer *peer, const char *bytes, size_t length); /* to what it will be sent */

/* Answer a request whose head is `length` bytes. */
void respond(struct peer *peer, char *head, size_t length);

#endif
