/* What the parts of the multi-call binary share. */
#ifndef ZONELAB_LAUNCH_H
#define ZONELAB_LAUNCH_H

#include <stddef.h>

/* A message body: strings, each ended by a zero byte. */
struct words {
	char *bytes;
	size_t length;
	size_t room;
};

void add_word(struct words *words, const char *text);
char *next_word(char **cursor, char *end);
void die(const char *what) __attribute__((noreturn));

/*
 * Enter the namespaces of the process behind `pidfd` (kinds: CLONE_NEW* bits), run `argv` there as a child with our
 * stdio, forward signals to it. Returns the wait status. `waiting` >= 0 is closed in the child.
 */
int run_inside(int pidfd, int kinds, const char *cwd, char **argv, char **environment, int stdin_null, int waiting);

/* Call `spot(n)`-style forwarding: wait for `child`, passing on signals that a process (not a terminal) sent us. */
int wait_forwarding(int child);

int all_signals(void);
void default_signals(void);
void say(int control, const char *form, ...) __attribute__((format(printf, 2, 3)));

int main_enter(int argc, char **argv);
int main_init(int argc, char **argv);
int main_contract(int argc, char **argv);

#endif
