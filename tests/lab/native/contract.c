/*
 * The holder of one process contract: it starts a method, and everything that method leaves behind becomes its child,
 * because it is a subreaper. So it knows when the last process of the contract has ended, and how.
 *
 * Words on `control` (SOCK_SEQPACKET), ours, in this order: "pid N" (the holder, in the server's view), "method N" (in
 * the zone's view), "exit N STATUS" per process that ended, "empty" before the holder itself ends. Whoever closes the
 * other end abandons the contract: its processes live on without a holder.
 */
#define _GNU_SOURCE
#include "launch.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#define ERR_CONFIG 96

static int start_method(char **argv, const char *cwd, int log)
{
	int child = fork(), null;

	if (child < 0)
		die("fork");
	if (child > 0)
		return child;
	default_signals();
	setsid();
	null = open("/dev/null", O_RDONLY);
	dup2(null, 0);
	dup2(log, 1);
	dup2(log, 2);
	for (int fd = 3; fd < 256; fd++)
		close(fd);
	if (chdir(cwd) < 0) {
		dprintf(2, "chdir %s: %s\n", cwd, strerror(errno));
		_exit(ERR_CONFIG);
	}
	execv(argv[0], argv);
	dprintf(2, "%s: %s\n", argv[0], strerror(errno));
	_exit(127);
}

static int hold(int control, int log, const char *cwd, char **argv)
{
	int signals = all_signals(), method;
	struct pollfd waits[2] = {{signals, POLLIN, 0}, {control, POLLIN, 0}};

	setsid();
	if (prctl(PR_SET_CHILD_SUBREAPER, 1) < 0)
		die("subreaper");
	method = start_method(argv, cwd, log);
	say(control, "method %d", method);
	for (; *argv != NULL; argv++) /* so that `pgrep -f` finds the method's programs and not us */
		memset(*argv, 0, strlen(*argv));
	close(log);
	for (int fd = 0; fd < 3; fd++)
		close(fd);
	for (;;) {
		struct signalfd_siginfo info;
		int child, status;

		if (poll(waits, 2, -1) < 0 && errno != EINTR)
			return 1;
		while (read(signals, &info, sizeof(info)) == sizeof(info))
			;
		while ((child = waitpid(-1, &status, WNOHANG)) > 0)
			say(control, "exit %d %d", child, status);
		if (child < 0 && errno == ECHILD) {
			say(control, "empty");
			return 0;
		}
		if (waits[1].revents != 0)
			return 0;
	}
}

/* contract ZONE CONTROL LOG FOLDER COMMAND [ARGUMENT ...]: numbers are descriptors; ZONE -1: where we are. */
int main_contract(int argc, char **argv)
{
	int zone, control, log, child, told[2];
	char nothing;

	if (argc < 7)
		return 2;
	zone = atoi(argv[2]);
	control = atoi(argv[3]);
	log = atoi(argv[4]);
	if (zone >= 0 && setns(zone, CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWPID) < 0)
		die("cannot enter the zone");
	if (pipe(told) < 0)
		die("pipe");
	child = fork();
	if (child < 0)
		die("fork");
	if (child > 0) {
		say(control, "pid %d", child);
		return 0;
	}
	close(told[1]);
	/* Until our parent has named us and is gone: a short method would be over before anybody knows who holds it. */
	while (read(told[0], &nothing, 1) < 0 && errno == EINTR)
		;
	close(told[0]);
	if (zone >= 0)
		close(zone);
	return hold(control, log, argv[5], argv + 6);
}
