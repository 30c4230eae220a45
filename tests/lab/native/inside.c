/* Entering namespaces: zlogin's half of "become", and `zonelab run --host` from outside. */
#define _GNU_SOURCE
#include "launch.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static const int forwarded[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2, SIGALRM};

static void interesting(sigset_t *set)
{
	sigemptyset(set);
	for (size_t i = 0; i < sizeof(forwarded) / sizeof(forwarded[0]); i++)
		sigaddset(set, forwarded[i]);
	sigaddset(set, SIGCHLD);
}

int wait_forwarding(int child)
{
	sigset_t set;

	interesting(&set);
	for (;;) {
		siginfo_t info;
		int status, signal;

		if (waitpid(child, &status, WNOHANG) == child)
			return status;
		signal = sigwaitinfo(&set, &info);
		/* What a terminal sends (si_code > 0) reached the child as well: it is in our process group. */
		if (signal > 0 && signal != SIGCHLD && info.si_code <= 0)
			kill(child, signal);
	}
}

int run_inside(int pidfd, int kinds, const char *cwd, char **argv, char **environment, int stdin_null, int waiting)
{
	sigset_t set, before;
	int child, status;

	interesting(&set);
	if (setns(pidfd, kinds) < 0)
		die("cannot enter the zone");
	sigprocmask(SIG_BLOCK, &set, &before);
	child = fork();
	if (child < 0)
		die("fork");
	if (child == 0) {
		sigprocmask(SIG_SETMASK, &before, NULL);
		close(pidfd);
		if (waiting >= 0)
			close(waiting);
		if (stdin_null) {
			int null = open("/dev/null", O_RDONLY);

			if (null >= 0)
				dup2(null, 0);
		}
		if (chdir(cwd) < 0 && chdir("/") < 0)
			die("chdir");
		execvpe(argv[0], argv, environment);
		dprintf(2, "%s: %s\n", argv[0], strerror(errno));
		_exit(errno == ENOENT ? 127 : 126);
	}
	status = wait_forwarding(child);
	sigprocmask(SIG_SETMASK, &before, NULL);
	return status;
}

static int same_user_namespace(const char *pid)
{
	char path[64];
	struct stat ours, theirs;

	snprintf(path, sizeof(path), "/proc/%s/ns/user", pid);
	return stat("/proc/self/ns/user", &ours) == 0 && stat(path, &theirs) == 0 && ours.st_ino == theirs.st_ino;
}

/* zonelab-enter PID FOLDER COMMAND [ARGUMENT ...]: run a command in the host whose init is PID. */
int main_enter(int argc, char **argv)
{
	extern char **environ;
	int kinds = CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWPID;
	int pidfd, status;

	if (argc < 4) {
		dprintf(2, "usage: zonelab-enter PID FOLDER COMMAND [ARGUMENT ...]\n");
		return 2;
	}
	pidfd = (int)syscall(SYS_pidfd_open, atoi(argv[1]), 0);
	if (pidfd < 0)
		die("the host is gone");
	if (!same_user_namespace(argv[1]))
		kinds |= CLONE_NEWUSER;
	status = run_inside(pidfd, kinds, argv[2], argv + 3, environ, 0, -1);
	return (status & 0x7f) == 0 ? (status >> 8) & 0xff : 128 + (status & 0x7f);
}
